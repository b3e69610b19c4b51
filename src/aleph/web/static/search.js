// A fill from asking to its candidates; what happens meanwhile is told to a listener.

import * as api from "./api.js";
import { Candidate } from "./editor.js";

const FAILED = new Set(["failed", "cancelled"]);

/**
 * Fill the hole of the editor's picture.
 *
 * `tell` is called with {state: "sending" | "waiting" | "queued" | "running" | "step", …}. Aborting
 * the signal cancels the job. Returns {candidates, info}.
 */
export async function search(editor, options, signal, tell) {
  tell({ state: "sending" });
  const mask = await editor.mask.png();
  const job = await submit(editor.base.blob, mask, options, signal, tell);
  const cancel = () => api.forget(job.id);
  signal.addEventListener("abort", cancel);
  addEventListener("pagehide", cancel);
  try {
    await follow(job.id, signal, tell);
  } finally {
    signal.removeEventListener("abort", cancel);
    removeEventListener("pagehide", cancel);
  }
  const info = await api.job(job.id);
  const candidates = info.candidates.map((c, i) => new Candidate(job.id, i, c.losses.total));
  await candidates[0].load();
  return { candidates, info };
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
    if (FAILED.has(name)) throw new api.Refusal(data.error);
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
