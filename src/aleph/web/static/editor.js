// What is being edited: the picture, its hole, its fills, and how to go back.

import * as api from "./api.js";
import { History } from "./history.js";
import { Mask } from "./mask.js";

/** One fill of a finished job; its picture is fetched when it is looked at. */
export class Candidate {
  constructor(job, index, loss) {
    Object.assign(this, { job, index, loss });
  }

  thumbnail() {
    this.thumb ??= api.result(this.job, this.index, { side: 256 });
    return this.thumb;
  }

  async load() {
    if (this.bitmap) return;
    this.blob = await api.result(this.job, this.index, { format: "png" });
    this.bitmap = await createImageBitmap(this.blob);
  }
}

export class Editor extends EventTarget {
  picture = null; // {name, blob, bitmap, width, height}: what was opened
  base = null; // {blob, bitmap, candidate}: what the hole is in
  mask = null;
  fill = null; // {candidates, taken, seed}
  frames = []; // where the model looks, as far as is known
  framed = false; // whether the user has set them: then they are what it is told
  format = null; // of the picture that was opened, once the server has told
  history = new History();

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  open(picture) {
    this.picture = picture;
    this.base = { blob: picture.blob, bitmap: picture.bitmap, candidate: null };
    this.mask = new Mask(picture.width, picture.height);
    this.fill = this.format = null;
    this.frames = [];
    this.framed = false;
    this.history = new History();
    this.changed();
  }

  /** Whether there is something to fill and something to go by. */
  get hasHole() {
    return Boolean(this.mask) && !this.mask.empty && !this.mask.full;
  }

  get taken() {
    return this.fill?.candidates[this.fill.taken] ?? null;
  }

  /** What would be saved: a fill, or null. */
  get savable() {
    return this.taken ?? this.base?.candidate ?? null;
  }

  get bitmap() {
    return this.taken?.bitmap ?? this.base.bitmap;
  }

  /** Make a change of some of the fields that can be undone. */
  set(fields) {
    const before = Object.fromEntries(Object.keys(fields).map((name) => [name, this[name]]));
    const put = (values) => () => {
      Object.assign(this, values);
    };
    const change = { undo: put(before), redo: put(fields) };
    change.redo();
    this.history.push(change);
    this.changed();
  }

  /** Note a change of the mask. */
  noteMask(patch) {
    if (patch) {
      const mask = this.mask;
      this.history.push({
        bytes: patch.bytes,
        undo: () => mask.write(patch.box, patch.before),
        redo: () => mask.write(patch.box, patch.after),
      });
    }
    this.changed();
  }

  /** Before a hole is painted on a fill: the fill becomes the picture, without a hole. */
  keepFill() {
    const taken = this.taken;
    if (!taken) return;
    const { blob, bitmap } = taken;
    const mask = new Mask(this.picture.width, this.picture.height);
    this.set({ base: { blob, bitmap, candidate: taken }, fill: null, mask });
  }

  /** Take one of the fills. */
  async take(index) {
    const fill = this.fill;
    await fill.candidates[index].load();
    if (this.fill === fill && index !== fill.taken) this.set({ fill: { ...fill, taken: index } });
  }

  undo() {
    this.history.undo();
    this.changed();
  }

  redo() {
    this.history.redo();
    this.changed();
  }
}
