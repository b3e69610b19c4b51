// Looks for the faces at the selection, once it has not changed for a moment.

import * as api from "./api.js";
import { Frame } from "./frames.js";

const QUIET = 500; // milliseconds

export class FaceFinder extends EventTarget {
  state = "unknown"; // "unknown", "looking" or "known": what can be said of the selection as it is

  constructor(editor) {
    super();
    this.editor = editor;
    this.asked = null; // the picture and the version of the selection that were asked about
  }

  /** The selection may have changed; `may` says whether looking makes sense now. */
  changed(may) {
    const { base, mask, framed, painted } = this.editor;
    const same = this.asked?.base === base && this.asked.mask === mask && this.asked.version === mask?.version;
    if (same && (this.state !== "unknown" || this.timer)) return;
    this.cancel();
    if (!may || framed) return;
    if (!painted || mask.full) {
      this.editor.frames = [];
      return;
    }
    this.asked = { base, mask, version: mask.version };
    this.timer = setTimeout(() => this.look().catch(() => {}), QUIET);
  }

  /** What was asked is out of date. */
  cancel() {
    clearTimeout(this.timer);
    this.timer = this.asked = null;
    this.running?.abort();
    this.running = null;
    this.become("unknown");
  }

  /** Look now; what the user has marked is replaced. */
  async look() {
    const { editor } = this;
    const { base, mask, framed } = editor;
    this.cancel();
    this.asked = { base, mask, version: mask.version };
    const running = (this.running = new AbortController());
    this.become("looking");
    try {
      const part = await mask.png({ part: mask.picture });
      const found = await api.frames(base.blob, part, running.signal);
      if (running !== this.running) return;
      const { x, y } = mask.picture;
      const frames = found.map((frame) => new Frame(frame).moved(x, y));
      this.running = null;
      this.state = "known";
      if (framed) editor.set({ frames, framed: false });
      else editor.frames = frames;
    } finally {
      if (running === this.running) {
        this.running = null;
        this.state = "unknown";
      }
      this.become(this.state);
    }
  }

  become(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

/** What is known of the faces, in words. */
export function facesNote({ frames, framed, painted }, state, canLook) {
  const count = frames.length === 1 ? "1 face" : `${frames.length || "No"} faces`;
  if (framed) return frames.length ? `${count} marked: only there.` : "No faces marked: they will be looked for again.";
  if (!canLook) return "Click the two eyes of a face to mark it (F).";
  if (state === "looking") return "Looking for faces…";
  if (!painted || state === "unknown") return "Faces at the selection will be found. Click two eyes to mark one (F).";
  return `${count} found at the selection. Click two eyes to mark one (F).`;
}
