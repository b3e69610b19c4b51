// What is being done, in words, and how far it has come.

const STAGES = {
  sending: "Sending the photo…",
  waiting: "Others are being served: waiting for a place…",
  running: "Starting…",
  looking: "Looking for faces…",
  searching: "Working out what is missing…",
  blending: "Blending it into the photo…",
  fetching: "Preparing the results…",
};

/** {words, share}: share is how much of the search is done, null where that is not known. */
export function describe({ state, stage, position, step, steps }) {
  if (state === "queued") {
    const waits = position > 1;
    return { words: waits ? `Waiting: number ${position} in the line…` : STAGES.running, share: null };
  }
  if (state === "step") {
    const share = steps ? step / steps : 1;
    return { words: `Working out what is missing: ${Math.round(100 * share)} %`, share };
  }
  return { words: STAGES[stage ?? state] ?? STAGES.running, share: null };
}
