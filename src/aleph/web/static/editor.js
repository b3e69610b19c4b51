// What is being edited: the picture, its hole, its fills, and how to go back.

import * as api from "./api.js";
import { History } from "./history.js";
import { Mask } from "./mask.js";

const CROP = 320; // pixels of a result's small picture

/** One fill of a finished job; its pictures are fetched when they are needed, and kept. */
export class Candidate {
  /** `facts`: job, index, loss, and the area that small pictures show; `blobs`: what is there. */
  constructor({ job, index, loss, area }, { png = null, own = null, crop = null } = {}) {
    Object.assign(this, { job, index, loss, area, png, own, crop });
  }

  get facts() {
    const { job, index, loss, area } = this;
    return { job, index, loss, area };
  }

  get blobs() {
    const { png, own, crop } = this;
    return { png, own, crop };
  }

  /** The part of the fill where the hole was, as a small picture. */
  async thumbnail() {
    const query = { side: CROP, area: this.area.join(",") };
    this.crop ??= await api.result(this.job, this.index, query).catch(() => this.cut());
    return this.crop;
  }

  /** The same without the server. */
  async cut() {
    await this.load();
    const [left, top, right, bottom] = this.area;
    const [width, height] = [right - left, bottom - top];
    const scale = Math.min(1, CROP / Math.max(width, height));
    const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
    const context = canvas.getContext("2d");
    context.drawImage(this.bitmap, left, top, width, height, 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob({ type: "image/png" });
  }

  /** Fetch the picture without any loss, for the screen and for the next fill. */
  async load() {
    if (this.bitmap) return;
    this.png ??= await api.result(this.job, this.index, { format: "png" });
    this.bitmap = await createImageBitmap(this.png);
  }

  /** Fetch the file that is downloaded, in the photo's own format. */
  async file(format) {
    if (!this.own && format === "png") await this.load();
    this.own ??= format === "png" ? this.png : await api.result(this.job, this.index, { format });
    return this.own;
  }

  /** Fetch everything, so that nothing depends on the server any more. */
  async keep(format) {
    this.png ??= await api.result(this.job, this.index, { format: "png" });
    await this.file(format);
    await this.thumbnail();
  }
}

export class Editor extends EventTarget {
  picture = null; // {name, blob, shown, bitmap, width, height}: what was opened
  base = null; // {blob, bitmap, candidate}: what the hole is in
  mask = null;
  fill = null; // {candidates, taken, seed, generated}
  frames = []; // where the model looks, as far as is known
  framed = false; // whether the user has set them: then they are what it is told
  format = null; // of the file that is downloaded, once the server has told
  refused = null; // why the server will not take this photo
  unsaved = false; // whether something was made that was not downloaded
  history = new History();

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  open(picture) {
    this.restore({ picture, mask: new Mask(picture.width, picture.height) });
  }

  /** Take over a whole session. */
  restore({ picture, base = null, mask, fill = null, frames = [], framed = false, format = null, unsaved = false }) {
    this.picture = picture;
    this.base = base
      ? { blob: base.png, bitmap: base.bitmap, candidate: base }
      : { blob: picture.blob, bitmap: picture.bitmap, candidate: null };
    Object.assign(this, { mask, fill, frames, framed, format, unsaved, refused: null });
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

  /** What would be downloaded: a fill, or null. */
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
    this.push(change);
  }

  /** Note a change of the mask; returns what can be undone, or null. */
  noteMask(patch) {
    if (!patch) {
      this.changed();
      return null;
    }
    const mask = this.mask;
    const change = {
      bytes: patch.bytes,
      undo: () => mask.write(patch.box, patch.before),
      redo: () => mask.write(patch.box, patch.after),
    };
    this.push(change);
    return change;
  }

  push(change) {
    this.history.push(change);
    this.unsaved = true;
    this.changed();
  }

  /** The photo was downloaded as it is. */
  saved() {
    this.unsaved = false;
    this.changed();
  }

  /** Before a hole is painted on a fill: the fill becomes the picture, without a hole. */
  keepFill() {
    const taken = this.taken;
    if (!taken) return;
    const mask = new Mask(this.picture.width, this.picture.height);
    this.set({ base: { blob: taken.png, bitmap: taken.bitmap, candidate: taken }, fill: null, mask });
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
