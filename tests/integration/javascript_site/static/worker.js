/* A bridge without a page. */
import { WebSocketBridge } from "/static/txchannels/websocketbridge.module.min.js";

const bridge = new WebSocketBridge();
bridge.connect("/echo/");
bridge.listen((payload) => postMessage(payload));
bridge.send("from a worker");
