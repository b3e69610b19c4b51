// What is being done, in words, and how far it has come.

const STAGES = {
  sending: "Sending the photo…",
  waiting: "Others are being served: waiting for a place…",
  running: "Starting…",
  looking: "Looking for faces…",
  searching: "Working out what is missing…",
  adapting: "Matching it to this photo",
  continuing: "Continuing the texture around it",
  blending: "Blending it into the photo…",
  fetching: "Preparing the results…",
};

/** {words, share}: share is how much of what is being done is done, null where that is not known. */
export function describe({ state, stage, position, step, steps, share }) {
  if (state === "queued") {
    const waits = position > 1;
    return { words: waits ? `Waiting: number ${position} in the line…` : STAGES.running, share: null };
  }
  if (state === "step") {
    return counted("Working out what is missing", steps ? step / steps : 1);
  }
  if (share !== undefined) return counted(STAGES[stage], share);
  return { words: STAGES[stage ?? state] ?? STAGES.running, share: null };
}

const counted = (words, share) => ({ words: `${words}: ${Math.round(100 * share)} %`, share });
