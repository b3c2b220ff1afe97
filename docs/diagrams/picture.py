"""A picture as SVG: boxes, arrows, curves and words, in the colours that all pictures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

INK, SOFT, LINE = "#1f2933", "#52606d", "#7b8794"
CLIENT, NODE, PART, DISK = "#fff3c4", "#f5f7fa", "#d9e8fb", "#e3f1e3"
DOWN, UP, STOP = "#1d5fa8", "#2f7d32", "#b42318"

HALO = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
"""Of words that lie over a line."""


TIPS = {"down": DOWN, "up": UP, "plain": LINE, "call": INK}
"""The heads of arrows by their names."""


class Picture:
    """An SVG that grows by shapes; `title` and `text` are what a screen reader says."""

    def __init__(self, width: int, height: int, title: str, text: str) -> None:
        frame = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        style = 'font-family="Helvetica, Arial, sans-serif"'
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {frame} role="img" {style}>',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(text)}</desc>",
            "<defs>",
            *(_tip(name, colour) for name, colour in TIPS.items()),
            "</defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def box(
        self, at: tuple[int, int], size: tuple[int, int], fill: str, *, dashed: bool = False
    ) -> None:
        """A box with round corners; `at` is its upper left corner."""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._lines.append(
            f'<rect x="{at[0]}" y="{at[1]}" width="{size[0]}" height="{size[1]}" rx="8" '
            f'fill="{fill}" stroke="{LINE}"{dashes}/>'
        )

    def say(
        self, at: tuple[int, int], text: str, *, size: int = 13, colour: str = INK, bold: bool = False
    ) -> None:
        """A line of text, centred on `at`."""
        self._text(at, text, "middle", size, colour, bold=bold)

    def tell(
        self, at: tuple[int, int], text: str, *, size: int = 13, colour: str = INK, bold: bool = False
    ) -> None:
        """A line of text that begins at `at`."""
        self._text(at, text, "start", size, colour, bold=bold)

    def arrow(
        self, start: tuple[int, int], end: tuple[int, int], way: str, *, both: bool = False
    ) -> None:
        """An arrow; `way` is `down` the chain, `up` the chain (dashed) or `plain`."""
        colour = TIPS[way]
        dashes = ' stroke-dasharray="6 4"' if way == "up" else ""
        begin = f' marker-start="url(#{way})"' if both else ""
        self._lines.append(
            f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="{colour}" '
            f'stroke-width="2"{dashes}{begin} marker-end="url(#{way})"/>'
        )

    def path(
        self, points: Sequence[tuple[int, int]], *, colour: str = LINE, dashes: str = "", tip: str = ""
    ) -> None:
        """Straight lines from point to point; `tip`: with an arrow at the end, as `arrow` has it."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        end = f' marker-end="url(#{tip})"' if tip else ""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}{end}/>'
        )

    def bar(self, at: tuple[int, int], size: tuple[int, int]) -> None:
        """A narrow bar on a lifeline: from a call to its answer."""
        self._lines.append(
            f'<rect x="{at[0]}" y="{at[1]}" width="{size[0]}" height="{size[1]}" fill="{CLIENT}" '
            f'stroke="{LINE}"/>'
        )

    def cross(self, at: tuple[int, int]) -> None:
        """Where something ends against its will."""
        x, y = at
        self._lines.append(
            f'<path d="M{x - 9} {y - 9} L{x + 9} {y + 9} M{x - 9} {y + 9} L{x + 9} {y - 9}" '
            f'stroke="{STOP}" stroke-width="4"/>'
        )

    def call(self, at: tuple[int, int], name: str, detail: str, data: Mapping[str, str]) -> None:
        """The words over an arrow, centred: a name, and what it says; `data` is for those who check."""
        told = " ".join(f"data-{key}={quoteattr(value)}" for key, value in data.items())
        more = f" {escape(detail)}" if detail else ""
        self._lines.append(
            f'<text x="{at[0]}" y="{at[1]}" text-anchor="middle" font-size="12" fill="{INK}" {HALO} '
            f'{told}><tspan font-weight="bold">{escape(name)}</tspan>{more}</text>'
        )

    def deed(self, at: tuple[int, int], lines: Sequence[str], fill: str, width: int, who: str) -> None:
        """What somebody does: a box around `at`, with lines of text; `who` is for those who check."""
        height = 18 * len(lines) + 8
        top = at[1] - height // 2
        self._lines.append(f"<g data-at={quoteattr(who)}>")
        self.box((at[0] - width // 2, top), (width, height), fill)
        for row, line in enumerate(lines):
            self.say((at[0], top + 17 + 18 * row), line, size=12)
        self._lines.append("</g>")

    def curve(self, points: Sequence[tuple[int, int]], colour: str, *, dashed: bool = False) -> None:
        """Straight lines from point to point, each with a dot."""
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        )
        self._lines += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in points]

    def rule(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """A thin line of a grid."""
        self._lines.append(
            f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="#cbd2d9"/>'
        )

    def badge(self, at: tuple[int, int], number: int) -> None:
        """A numbered disc, for a step of the legend."""
        self._lines.append(f'<circle cx="{at[0]}" cy="{at[1]}" r="10" fill="{INK}"/>')
        self._text((at[0], at[1] + 4), str(number), "middle", 12, "#ffffff", bold=True)

    def svg(self) -> str:
        """The whole picture."""
        return "\n".join([*self._lines, "</svg>", ""])

    def _text(
        self, at: tuple[int, int], text: str, anchor: str, size: int, colour: str, *, bold: bool
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self._lines.append(
            f'<text x="{at[0]}" y="{at[1]}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}"{weight}>{escape(text)}</text>'
        )


def _tip(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{colour}"/></marker>'
    )
