// What keys do. Letters choose tools or act; with Ctrl or ⌘ they are commands.

const TOOLS = { b: "brush", e: "eraser", r: "rectangle", l: "lasso", x: "extend", f: "faces", d: "compare", h: "hand" };

/** `keys` and `commands` map a key to an action; `steer` takes the keys that are left. */
export function listenToKeys({ keys, commands, choose, escape, steer, ready, released }) {
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = event.ctrlKey || event.metaKey;
    // Where something can be typed, only what is no way of typing is a command.
    const typing = event.target.matches("input[type=number], select");
    const edits = !command || key === "z" || key === "y";
    if (event.altKey || (typing && edits && key !== "Escape")) return;
    let action = command ? commands[event.shiftKey && key === "c" ? "C" : key] : keys[key];
    if (!command && TOOLS[key]) {
      const button = document.querySelector(`button[data-tool="${TOOLS[key]}"]`);
      if (button.offsetParent) action = () => choose(TOOLS[key]);
    }
    if (key === "Escape") action = escape;
    if (!action && !command && steer(event)) event.preventDefault();
    if (!action || !(ready() || key === "o") || (event.repeat && key === "Enter")) return;
    event.preventDefault();
    action(event);
  });
  addEventListener("keyup", (event) => released(event.key.toLowerCase()));
}
