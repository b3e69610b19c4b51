// A fill from asking to its candidates; what happens meanwhile is told to a listener.

import * as api from "./api.js";
import { Candidate } from "./editor.js";
import { differing } from "./differences.js";
import { asShares, isNone } from "./extension.js";

const FAILED = new Set(["failed", "cancelled"]);
const MARGIN = 0.2; // of the hole's longer side, shown on all sides of it
const SPREAD = 1.5; // sides of a face from which on a hole is shown where the face is

/**
 * Fill the hole of the editor's picture. The small pictures of the results show where they differ,
 * or an `area` that others show already.
 *
 * `tell` is called with {state: "sending" | "waiting" | "queued" | "running" | "stage" | "step" |
 * "preview" | "fetching", …}. Aborting the signal cancels the job. Returns {candidates, info, alike}:
 * `alike` says that the candidates hardly differ.
 */
export async function search(editor, options, signal, tell, area = null) {
  tell({ state: "sending" });
  const { base, extension } = editor;
  const mask = await editor.mask.png({ part: editor.mask.picture });
  const extend = asShares(extension, base);
  const job = await submit(base.blob, mask, { ...options, extend }, signal, tell);
  const cancel = () => api.forget(job.id);
  signal.addEventListener("abort", cancel);
  addEventListener("pagehide", cancel);
  try {
    await follow(job.id, signal, tell);
  } finally {
    signal.removeEventListener("abort", cancel);
    removeEventListener("pagehide", cancel);
  }
  tell({ state: "fetching" });
  const info = await api.job(job.id);
  const frames = isNone(extension) ? info.frames : [];
  const candidates = info.candidates.map(
    ({ losses }, index) => new Candidate({ job: job.id, index, loss: losses.total ?? null, area }),
  );
  const where = area ?? (await whereToLook(candidates, editor.mask, frames));
  for (const one of candidates) one.area = where ?? around(editor.mask, frames);
  await candidates[0].load();
  return { candidates, info, alike: candidates.length > 1 && !where };
}

/** The part in which candidates are compared; null where they hardly differ. */
function whereToLook(candidates, mask, frames) {
  const hole = around(mask, []);
  if (candidates.length < 2) return hole;
  return differing(candidates, mask, hole).catch(() => around(mask, frames));
}

/**
 * The hole and some of its surroundings, or the face that most of it lies in, where that is much
 * smaller.
 */
function around(mask, frames) {
  const [left, top, right, bottom] = mask.box();
  const hole = { x: (left + right) / 2, y: (top + bottom) / 2, side: Math.max(right - left, bottom - top, 32) };
  const missing = ({ x, y, side }) => mask.share(x - side / 2, y - side / 2, side) * side * side;
  const [face] = frames.toSorted((a, b) => missing(b) - missing(a));
  const { x, y, side } = face && hole.side > SPREAD * face.side ? face : hole;
  const reach = (side * (1 + 2 * MARGIN)) / 2;
  return [
    Math.max(0, Math.floor(x - reach)),
    Math.max(0, Math.floor(y - reach)),
    Math.min(mask.width, Math.ceil(x + reach)),
    Math.min(mask.height, Math.ceil(y + reach)),
  ];
}

/** Ask until there is a place. */
async function submit(image, mask, options, signal, tell) {
  for (;;) {
    try {
      return await api.inpaint(image, mask, options, signal);
    } catch (error) {
      if (error.status !== 429) throw error;
      tell({ state: "waiting" });
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(1, error.retryAfter)));
      signal.throwIfAborted();
    }
  }
}

async function follow(id, signal, tell) {
  let decoding = false;
  for await (const { name, data } of api.events(id, signal)) {
    if (FAILED.has(name)) throw new api.Refusal(api.sentence(data.error));
    if (name !== "step") {
      tell({ state: name, ...data });
      continue;
    }
    const { previews, ...step } = data;
    tell({ state: "step", ...step });
    // A preview that comes while the one before is still being decoded is left out.
    if (previews && !decoding) {
      decoding = true;
      decode(previews)
        .then((pictures) => tell({ state: "preview", previews: pictures }))
        .finally(() => (decoding = false));
    }
  }
}

function decode(previews) {
  return Promise.all(
    previews.map(async ({ image, corners }) => {
      const picture = new Image();
      picture.src = image;
      await picture.decode();
      return { picture, corners };
    }),
  );
}
