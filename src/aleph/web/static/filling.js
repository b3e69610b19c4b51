// Fills the selection, shows how far that has come, and keeps what comes out.

import { Frame } from "./frames.js";
import { readOptions } from "./options.js";
import { $, plainWarnings } from "./panel.js";
import { describe } from "./progress.js";
import { search } from "./search.js";

const ALIKE = "These results hardly differ: any of them will do.";
const SAME = 1e-7; // two fills whose losses differ by less are one

export function makeFilling(app) {
  const { editor, scene } = app;

  async function fill(more = null) {
    if (app.running || !editor.hasHole || editor.refused || (editor.fill && !more)) return;
    const options = { ...readOptions(editor), ...(more ? varied(more) : {}) };
    const mine = (app.running = new AbortController());
    mine.seed = Number(options.seed);
    app.begun();
    editor.fill = null;
    app.refresh();
    app.moveFocus("#cancel");
    await app.attempt(async () => {
      try {
        const told = (event) => app.running === mine && tell(event);
        const area = more?.fill.candidates[0].area;
        const found = await search(editor, options, mine.signal, told, area);
        editor.fill = more?.fill ?? null;
        await finish(more, found, mine.seed);
      } finally {
        if (more) editor.fill ??= more.fill;
        app.running = scene.previews = null;
        app.refresh();
        app.moveFocus(editor.fill ? "#candidates [aria-checked=true]" : "#fill");
      }
    });
  }

  /** Options that lead to other fills: one more, as the likeliest comes out again. */
  function varied({ fill }) {
    const count = Math.min(Number($("count").value) + 1, Number($("count").max));
    return { seed: String(fill.seed + 1), candidates: String(count) };
  }

  async function finish(more, { candidates: found, info, alike }, seed) {
    const before = more?.fill.candidates ?? [];
    const known = before.map(({ loss }) => loss);
    const isNew = ({ loss }) => loss === null || !known.some((other) => Math.abs(other - loss) < SAME);
    const fresh = more ? found.filter(isNew).slice(0, Number($("count").value)) : found;
    editor.format ??= info.format;
    app.setCompare(1);
    if (!fresh.length) {
      app.complain("No other variation was found: change the selection or the quality.");
      editor.fill = { ...more.fill, seed };
      return;
    }
    await fresh[0].load();
    const { generated, guessed } = info.report?.regions ?? {};
    const notice = [alike ? ALIKE : "", plainWarnings(info, editor.painted)].filter(Boolean).join(" ");
    const candidates = [...before, ...fresh];
    const chosen = { candidates, taken: before.length, seed, generated, guessed, notice };
    editor.set({ fill: chosen, ...(editor.framed ? {} : { frames: framesOf(info) }) });
    keep(fresh);
  }

  /** The frames in which a job was filled. */
  function framesOf(info) {
    const frames = info.frames.map((frame) => new Frame(frame));
    return frames.filter(({ corners }) => !app.isWhole(corners));
  }

  /** Fetch all that belongs to the fills, so that they outlive the server. */
  async function keep(candidates) {
    async function* pieces() {
      for (const candidate of candidates) yield await candidate.keep(editor.format);
    }
    // Where the server is gone meanwhile, what has come is kept.
    await app.session.fetch(pieces()).catch(() => {});
  }

  function tell(event) {
    if (event.state === "preview") {
      scene.previews = event.previews;
      return app.refresh();
    }
    const { words, share } = describe(event);
    if (share === null) $("progress").removeAttribute("value");
    else $("progress").value = share;
    app.say(words);
  }

  return { fill: () => fill(), more: () => fill({ fill: editor.fill }) };
}
