// What can be undone: changes with `undo` and `redo`, already done when they are pushed.

const MOST_BYTES = 256 * 2 ** 20;

export class History {
  constructor() {
    this.done = [];
    this.undone = [];
  }

  push(change) {
    this.done.push(change);
    this.undone = [];
    let bytes = this.done.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
    while (bytes > MOST_BYTES && this.done.length > 1) bytes -= this.done.shift().bytes ?? 0;
  }

  undo() {
    const change = this.done.pop();
    if (!change) return;
    change.undo();
    this.undone.push(change);
  }

  redo() {
    const change = this.undone.pop();
    if (!change) return;
    change.redo();
    this.done.push(change);
  }
}
