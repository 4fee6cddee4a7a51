// Before the first paint, so that a dark page does not flash white.
const system = matchMedia("(prefers-color-scheme: dark)");
const follow = () => {
  const kept = localStorage.getItem("theme");
  document.documentElement.dataset.theme =
    kept === "light" || kept === "dark" ? kept : system.matches ? "dark" : "light";
};
follow();
system.addEventListener("change", follow);
