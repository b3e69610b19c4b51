// What is listed on the page: the results, and what is to be said of them.

export const $ = (id) => document.getElementById(id);

/** Show the fills as a group of radio buttons, each with the part where the hole was. */
export function showCandidates(fill, take) {
  const shown = $("candidates");
  if (shown.fill === fill) return;
  const focused = shown.contains(document.activeElement);
  shown.fill = fill;
  shown.replaceChildren(...(fill?.candidates ?? []).map((one, index) => choice(fill, one, index, take)));
  if (focused) shown.children[fill?.taken]?.focus();
}

function choice(fill, candidate, index, take) {
  const button = document.createElement("button");
  const picture = document.createElement("img");
  const chosen = index === fill.taken;
  button.type = "button";
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", String(chosen));
  button.setAttribute("aria-label", `Result ${index + 1}`);
  button.title = `Result ${index + 1}`;
  button.tabIndex = chosen ? 0 : -1;
  picture.alt = "";
  const show = (blob) => (picture.src = candidate.url ??= URL.createObjectURL(blob));
  candidate.thumbnail().then(show, () => {});
  button.append(picture);
  button.addEventListener("click", () => take(index));
  return button;
}

/** How much of the selection the model made up, and how much was continued from around it. */
export function shareNote(fill) {
  const share = fill?.generated;
  if (share === undefined || share === null) return "";
  const percent = Math.round(100 * share);
  if (percent === 0) return "All of it was continued from its surroundings.";
  if (percent === 100) return "All of it was filled by the face model.";
  return `${percent} % was filled by the face model, ${100 - percent} % was continued from its surroundings.`;
}

/** What a person should know of a fill, without the words of programs. */
export function plainWarnings({ report, warnings }) {
  const placed = report?.frames?.some(({ dropped }) => !dropped);
  if (!placed && warnings.length) {
    return "No face was found at the selection, so it was continued from its surroundings. If there is one, mark its two eyes (F) and fill again.";
  }
  return warnings.filter((text) => !/--|Python/.test(text)).join(" ");
}
