// A group of the menu that is open over the page closes by Escape, by a press elsewhere, and when the focus goes on.

const isOver = matchMedia("(min-width: 861px)"); // on a phone a group opens in its place, and what is below it moves

function closeAround(target) {
  for (const group of document.querySelectorAll("nav .menu-group[open]")) {
    if (!group.contains(target)) group.open = false;
  }
}

for (const type of ["pointerdown", "focusin"]) {
  addEventListener(type, (event) => isOver.matches && closeAround(event.target));
}
addEventListener("keydown", (event) => {
  const group = event.key === "Escape" && document.activeElement?.closest(".menu-group[open]");
  if (group) {
    group.open = false;
    group.querySelector("summary").focus();
  }
});
