"use strict";
// Comfort alone: everything on the page is there without it.
(() => {
  const FEW = 7; // so many tasks need no filter
  const byId = (id) => document.getElementById(id);
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const show = (...elements) => elements.forEach((one) => { one.hidden = false; });

  const theme = byId("theme");
  const themes = ["system", "light", "dark"];
  theme.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "system";
    const next = themes[(themes.indexOf(now) + 1) % themes.length];
    document.documentElement.dataset.theme = next;
    theme.textContent = `Theme: ${next}`;
  });

  const tasks = all("details.task");
  const unfold = byId("unfold");
  const closed = () => tasks.some((task) => !task.hidden && !task.open);
  const name = () => { unfold.textContent = closed() ? "Open all" : "Close all"; };
  unfold.addEventListener("click", () => {
    const open = closed();
    tasks.forEach((task) => { if (!task.hidden) task.open = open; });
    name();
  });
  tasks.forEach((task) => task.addEventListener("toggle", name));

  const filter = byId("filter");
  const rows = all("[data-agent]");
  const titles = new Map(tasks.map((task) => [
    task.dataset.agent,
    `${task.querySelector(".number").textContent} ${task.querySelector("bdi").textContent}`.toLowerCase(),
  ]));
  const narrow = () => {
    const sought = byId("words").value.trim().toLowerCase();
    const status = byId("status").value;
    rows.forEach((row) => {
      const other = status && row.dataset.status !== status;
      row.hidden = other || !titles.get(row.dataset.agent).includes(sought);
    });
    const shown = tasks.filter((task) => !task.hidden).length;
    byId("found").textContent = sought || status ? `${shown} of ${tasks.length}` : "";
    name();
  };
  filter.addEventListener("input", narrow);
  filter.addEventListener("submit", (event) => event.preventDefault());

  // What sticks to the top stands below the filter, where that does.
  const under = () => {
    const sticks = getComputedStyle(filter).position === "sticky";
    const height = sticks ? filter.offsetHeight : 0;
    document.documentElement.style.setProperty("--under", `${height}px`);
  };

  // A link to a task opens it.
  const arrive = () => {
    const task = location.hash.startsWith("#agent-") && byId(location.hash.slice(1));
    if (task) {
      task.hidden = false;
      task.open = true;
      task.querySelector("summary").focus({ preventScroll: true });
      task.scrollIntoView({ block: "start" });
    }
  };
  addEventListener("hashchange", arrive);

  show(theme, unfold);
  if (tasks.length > FEW) {
    show(filter);
    under();
    addEventListener("resize", under);
  }
  name();
  arrive();
})();
