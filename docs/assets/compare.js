// The sliders between before and after: the picture above is cut off where the slider stands.
for (const input of document.querySelectorAll(".compare input")) {
  const place = () => input.parentElement.style.setProperty("--at", `${input.value}%`)
  input.addEventListener("input", place)
  place()
}
