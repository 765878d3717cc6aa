-- Renews the lease of a hub, and tells what the other hubs read.
--
-- ARGV: the keys' prefix, milliseconds of the lease, the hub's address, the channels that
-- it reads (between blanks), its further addresses. Returns: the server's time in
-- milliseconds; 1 if a lease had lapsed; what each other hub reads.

local prefix, lease, hub, reads = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local lapsed = redis.call('EXISTS', prefix .. '{i:' .. hub .. '}') == 0 and 1 or 0
redis.call('SET', prefix .. '{i:' .. hub .. '}', hub, 'PX', lease)
for at = 5, #ARGV do
  redis.call('SET', prefix .. '{i:' .. ARGV[at] .. '}', hub, 'PX', lease)
end

local seen, read = prefix .. '{hubs}:seen', prefix .. '{hubs}:read'
redis.call('ZADD', seen, now, hub)
redis.call('HSET', read, hub, reads)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now - lease)) do
  redis.call('ZREM', seen, gone)
  redis.call('HDEL', read, gone)
end

local others = {}
local all = redis.call('HGETALL', read)
for at = 1, #all, 2 do
  if all[at] ~= hub then
    others[#others + 1] = all[at + 1]
  end
end
return { now, lapsed, others }
