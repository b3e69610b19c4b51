// The session: everything that the user made, kept by the browser across reloads and restarts.

import { Candidate, maskOf } from "./editor.js";
import { NONE } from "./extension.js";
import { Frame } from "./frames.js";
import { maskPixels } from "./mask.js";
import * as store from "./store.js";

const WAIT = 200; // milliseconds after a change until it is written
const MOST = 5; // sessions kept
const THUMB = 160; // pixels of a session's small picture

/** One per tab; it outlives a reload. */
function ownId() {
  let id = sessionStorage.getItem("session");
  if (!id) sessionStorage.setItem("session", (id = `${Date.now()}-${Math.random()}`));
  return id;
}

export class Session {
  /** Whether something is not written yet, or cannot be. */
  pending = false;
  fetching = 0; // results that are on their way

  constructor(editor) {
    this.editor = editor;
    this.id = ownId();
    this.keys = new WeakMap();
    this.count = 0;
    editor.addEventListener("change", () => this.note());
  }

  /** Something has changed: write it soon. */
  note() {
    if (!this.editor.picture) return;
    this.pending = true;
    this.tell();
    this.changes = (this.changes ?? 0) + 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), WAIT);
  }

  async write() {
    if (this.writing) return;
    this.writing = true;
    try {
      let written;
      do {
        written = this.changes;
        const blobs = new Map();
        const keys = new Set();
        const record = await this.record((blob) => this.key(blob, blobs, keys));
        await store.put(record, blobs, keys);
      } while (written !== this.changes);
      this.pending = false;
    } catch (error) {
      // No room, or no storage in this window: leaving the page will ask first.
      console.warn("the session cannot be kept:", error);
    } finally {
      this.writing = false;
      this.tell();
    }
  }

  /** Fetch what belongs to the session, and write it as it comes. */
  async fetch(pieces) {
    this.fetching++;
    this.tell();
    try {
      for await (const _ of pieces) this.note();
    } finally {
      this.fetching--;
      this.tell();
    }
  }

  /** Say on the page whether all is kept. */
  tell() {
    document.body.toggleAttribute("data-unkept", this.pending || this.fetching > 0);
  }

  /** The key of a picture; new ones are added to `blobs`. */
  key(blob, blobs, keys) {
    if (!blob) return null;
    let key = this.keys.get(blob);
    if (!key) {
      key = `${this.id}/${Date.now()}-${this.count++}`;
      this.keys.set(blob, key);
      blobs.set(key, blob);
    }
    keys.add(key);
    return key;
  }

  async record(key) {
    const { picture, base, extension, mask, fill, frames, framed, format, unsaved } = this.editor;
    picture.thumb ??= await small(picture);
    const kept = (one) => one && { ...one.facts, ...mapped(one.blobs, key) };
    return {
      id: this.id,
      when: Date.now(),
      name: picture.name,
      width: picture.width,
      height: picture.height,
      photo: key(picture.blob),
      shown: key(picture.shown),
      thumb: key(picture.thumb),
      base: kept(base.candidate),
      origin: { x: base.x, y: base.y },
      extension,
      mask: key(await mask.png()),
      fill: fill && { ...fill, candidates: fill.candidates.map(kept) },
      frames: frames.map(({ x, y, side, angle }) => ({ x, y, side, angle })),
      framed,
      format,
      unsaved,
    };
  }

  /** Go on with what this tab was doing; returns whether there was something. */
  async resume() {
    const found = await store.get(this.id).catch(() => null);
    if (!found) return false;
    await this.load(found);
    return true;
  }

  /** Go on with another session, which becomes this tab's own. */
  async adopt(id) {
    const found = await store.get(id);
    if (!found) return;
    await this.load(found);
    this.note();
    await store.drop(id);
  }

  /** Other sessions: {id, name, thumb}, the latest first; what is too many is forgotten. */
  async others() {
    const all = (await store.list().catch(() => [])).filter(({ id }) => id !== this.id);
    for (const { id } of all.slice(MOST)) await store.drop(id);
    return Promise.all(
      all.slice(0, MOST).map(async ({ id, name, thumb }) => {
        const found = await store.get(id);
        return { id, name, thumb: found?.blobs.get(thumb) };
      }),
    );
  }

  async forget(id) {
    await store.drop(id);
  }

  async load({ session, blobs }) {
    const blob = (key) => blobs.get(key) ?? null;
    if (session.id === this.id) for (const [key, one] of blobs) this.keys.set(one, key);
    const photo = blob(session.photo);
    const shown = blob(session.shown);
    const bitmap = await createImageBitmap(shown ?? photo);
    const { name, width, height } = session;
    const picture = { name, blob: photo, shown, bitmap, width, height, thumb: blob(session.thumb) };
    const candidate = (facts) => facts && new Candidate(facts, mapped(facts, blob));
    const base = candidate(session.base);
    await base?.load();
    const painted = await createImageBitmap(blob(session.mask));
    const pixels = (...size) => maskPixels(painted, ...size);
    const mask = maskOf(base?.bitmap ?? picture, session.extension ?? NONE, pixels);
    const fill = session.fill && { ...session.fill, candidates: session.fill.candidates.map(candidate) };
    await fill?.candidates[fill.taken].load();
    const frames = session.frames.map((frame) => new Frame(frame));
    this.editor.restore({ ...session, picture, base, mask, fill, frames });
  }
}

const BLOBS = ["png", "own", "crop"];
const mapped = (from, way) => Object.fromEntries(BLOBS.map((name) => [name, from[name] ? way(from[name]) : null]));

async function small({ bitmap, width, height }) {
  const scale = Math.min(1, THUMB / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
}
