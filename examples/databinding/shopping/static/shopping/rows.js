/* The list on the page: a row for each item, drawn from what the server says of it. */

const RECENT = 1_600;

export class Rows {
  #list;
  #template;
  #ask;
  #elements = new Map();
  #data = new Map();
  #gone = new Set();

  /** `ask(action, pk, data)` is called when somebody changes something in a row. */
  constructor(list, template, ask) {
    this.#list = list;
    this.#template = template;
    this.#ask = ask;
  }

  get size() {
    return this.#data.size;
  }

  get done() {
    return [...this.#data.values()].filter((data) => data.done).length;
  }

  /** What the item is called; undefined if it is not on the list. */
  nameOf(pk) {
    return this.#data.get(pk)?.name;
  }

  /** Show exactly `items`. */
  replace(items) {
    const pks = new Set(items.map((item) => item.pk));
    for (const pk of [...this.#data.keys()]) if (!pks.has(pk)) this.remove(pk);
    for (const { pk, data } of items) this.put(pk, data);
  }

  /** Show an item as it is now. What is older than what is shown, or of an item that was
      removed, has been overtaken on its way: it is ignored. */
  put(pk, data) {
    const known = this.#data.get(pk);
    if (this.#gone.has(pk) || known?.version > data.version) return;
    this.#data.set(pk, data);
    const row = this.#elements.get(pk) ?? this.#add(pk);
    this.#draw(row, data);
    if (!known || known.version === data.version) return;
    this.#showProblem(row, "");
    this.#flash(row);
  }

  remove(pk) {
    this.#gone.add(pk);
    this.#data.delete(pk);
    const row = this.#elements.get(pk);
    if (!row) return;
    if (row.contains(document.activeElement)) {
      (row.nextElementSibling ?? row.previousElementSibling)?.querySelector(".remove").focus();
    }
    row.remove();
    this.#elements.delete(pk);
  }

  /** The server did not do what was asked for: show why, and the item as it still is. */
  refuse(pk, problem) {
    const row = this.#elements.get(pk);
    if (!row) return;
    this.#draw(row, this.#data.get(pk));
    this.#showProblem(row, problem);
  }

  #add(pk) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    const find = (selector) => row.querySelector(selector);
    const data = () => this.#data.get(pk);
    const update = (change) => this.#ask("update", pk, change);
    row.dataset.pk = pk;
    find(".done").onchange = ({ target }) => {
      row.classList.toggle("ticked", target.checked);
      update({ done: target.checked });
    };
    // Counted from what is shown: the answer to the last press may be on its way.
    const add = (number) => {
      const amount = Number(find("output").value) + number;
      find("output").value = amount;
      update({ amount });
    };
    find(".less").onclick = () => add(-1);
    find(".more").onclick = () => add(+1);
    find(".remove").onclick = () => this.#ask("delete", pk);
    this.#letRename(row, find(".name"), data, update);
    this.#elements.set(pk, row);
    // By age: the keys grow.
    const next = [...this.#list.children].find((other) => Number(other.dataset.pk) > pk);
    this.#list.insertBefore(row, next ?? null);
    return row;
  }

  #letRename(row, name, data, update) {
    let isEdited = false;
    name.oninput = () => {
      isEdited = true;
      this.#showProblem(row, "");
    };
    name.onchange = () => update({ name: name.value });
    name.onblur = () => {
      // Somebody else may have renamed it meanwhile.
      if (!isEdited) name.value = data()?.name ?? "";
      isEdited = false;
    };
    name.onkeydown = (event) => {
      if (event.key === "Escape") {
        name.value = data().name;
        isEdited = false;
      }
      if (event.key === "Enter" || event.key === "Escape") name.blur();
    };
  }

  #draw(row, data) {
    const find = (selector) => row.querySelector(selector);
    const name = find(".name");
    row.classList.toggle("ticked", data.done);
    find(".done").checked = data.done;
    find(".done").ariaLabel = `Have ${data.name}`;
    // Nobody types over somebody else's fingers.
    if (name !== document.activeElement) name.value = data.name;
    find("output").value = data.amount;
    find(".amount").ariaLabel = `How many ${data.name}`;
    find(".less").ariaLabel = `One less: ${data.name}`;
    find(".more").ariaLabel = `One more: ${data.name}`;
    find(".remove").ariaLabel = `Remove ${data.name}`;
  }

  #showProblem(row, problem) {
    const place = row.querySelector(".error");
    place.textContent = problem;
    place.hidden = !problem;
    row.classList.toggle("wrong", Boolean(problem));
  }

  #flash(row) {
    row.classList.add("recent");
    clearTimeout(row.fading);
    row.fading = setTimeout(() => row.classList.remove("recent"), RECENT);
  }
}
