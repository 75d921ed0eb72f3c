"""The page's address says which tab is open: a reload keeps it, a link leads to it, and Back goes back to the last."""

from __future__ import annotations

import gradio as gr

TABS = """
  const slug = (tab) => tab.textContent.trim().toLowerCase().replaceAll(" ", "-");
  const all = [...document.querySelectorAll("[role=tab], .overflow-dropdown button")];
"""
"""Those that a phone has no room for are in a menu."""
SHOW = f"""() => {{
  const show = () => {{
    {TABS}
    const wanted = decodeURIComponent(location.hash.slice(1));
    const tab = wanted ? all.find((each) => slug(each) === wanted) : all[0];
    if (tab && !tab.classList.contains("selected")) tab.click();
  }};
  addEventListener("popstate", show);
  if (location.hash) show();
}}"""
SAY = f"""() => {{
  setTimeout(() => {{
    {TABS}
    const open = all.findIndex((each) => each.classList.contains("selected"));
    if (open < 0) return;
    const hash = open ? "#" + slug(all[open]) : "";
    if (hash !== location.hash) history.pushState(null, "", location.pathname + location.search + hash);
  }});
}}"""
"""The first tab needs none. The class is set once this event is over."""


def attach(page: gr.Blocks, tabs: gr.Tabs) -> None:
    """Tie the address to ``tabs``, in both directions; the server learns nothing of it."""
    page.load(None, js=SHOW)
    tabs.change(None, js=SAY, api_visibility="private")
