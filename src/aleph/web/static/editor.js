// What is being edited: the picture, its hole, its fills, and how to go back.

import * as api from "./api.js";
import { NONE, widened } from "./extension.js";
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

  /** A small picture of it, or of an area, by the server. */
  small(query) {
    return api.result(this.job, this.index, query);
  }

  /** Its area as a small picture. */
  async thumbnail() {
    this.crop ??= await this.small({ side: CROP, area: this.area.join(",") }).catch(() => this.cut());
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

/** A fill as what the next hole is in; `origin` is where the photo that was opened lies in it. */
function filled(candidate, { x, y }) {
  const { png: blob, bitmap } = candidate;
  return { blob, bitmap, candidate, width: bitmap.width, height: bitmap.height, x, y };
}

/** A mask for the canvas of a picture: what `pixels` gives for its size, and all that extends it. */
export function maskOf(picture, extension, pixels) {
  const { width, height } = widened(picture, extension);
  const { left: x, top: y } = extension;
  const mask = new Mask(width, height, { x, y, width: picture.width, height: picture.height });
  mask.replace(pixels(width, height));
  return mask;
}

export class Editor extends EventTarget {
  picture = null; // {name, blob, shown, bitmap, width, height}: what was opened
  base = null; // {blob, bitmap, candidate, width, height, x, y}: what the hole is in, and where in it
  // the photo that was opened lies
  extension = NONE; // by how many pixels the canvas is wider than that
  mask = null; // as large as the canvas
  fill = null; // {candidates, taken, seed, generated}
  frames = []; // where the model looks, as far as is known
  framed = false; // whether the user has set them: then they are what it is told
  format = null; // of the file that is downloaded, once the server has told
  refused = null; // why the server will not take this photo
  remarks = []; // what the server has to say of the file
  unsaved = false; // whether something was made that was not downloaded
  history = new History();

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  open(picture) {
    this.restore({ picture, mask: new Mask(picture.width, picture.height) });
  }

  /** Take over a whole session. */
  restore({ picture, base = null, mask, fill = null, frames = [], framed = false, format = null, unsaved = false, extension = NONE, origin = { x: 0, y: 0 } }) {
    const { blob, bitmap, width, height } = picture;
    this.picture = picture;
    this.base = base ? filled(base, origin) : { blob, bitmap, candidate: null, width, height, x: 0, y: 0 };
    Object.assign(this, { extension, mask, fill, frames, framed, format, unsaved, refused: null, remarks: [] });
    this.history = new History();
    this.changed();
  }

  /** Size of the canvas, in which all points are counted: of the picture and what extends it. */
  get width() {
    return this.mask.width;
  }

  get height() {
    return this.mask.height;
  }

  /** Where the photo that was opened lies on the canvas. */
  get origin() {
    return { x: this.base.x + this.extension.left, y: this.base.y + this.extension.top };
  }

  /** Whether some of the picture itself is selected, not only what extends it. */
  get painted() {
    return Boolean(this.mask) && this.mask.count > this.mask.beyond;
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
    const change = { bytes: fields.mask?.bytes, undo: put(before), redo: put(fields) };
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
    const mask = new Mask(this.width, this.height);
    this.set({ base: filled(taken, this.origin), extension: NONE, fill: null, mask });
  }

  /** Extend the canvas, from the picture's own borders on; what is painted stays where it is. */
  extend(extension) {
    const before = this.extension;
    const [dx, dy] = [extension.left - before.left, extension.top - before.top];
    const mask = maskOf(this.base, extension, (...size) => this.mask.moved(dx, dy, ...size));
    const frames = this.frames.map((frame) => frame.moved(dx, dy));
    this.set({ extension, mask, frames });
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
