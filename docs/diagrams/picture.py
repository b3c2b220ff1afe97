"""A picture as SVG: boxes, arrows, curves and words, in the colours that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

INK, SOFT, LINE = "#1f2933", "#52606d", "#7b8794"
CLIENT, NODE, PART, DISK = "#fff3c4", "#f5f7fa", "#d9e8fb", "#e3f1e3"
DOWN, UP = "#1d5fa8", "#2f7d32"


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
            *(_tip(name, colour) for name, colour in (("down", DOWN), ("up", UP), ("plain", LINE))),
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
        colour = {"down": DOWN, "up": UP, "plain": LINE}[way]
        dashes = ' stroke-dasharray="6 4"' if way == "up" else ""
        begin = f' marker-start="url(#{way})"' if both else ""
        self._lines.append(
            f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="{colour}" '
            f'stroke-width="2"{dashes}{begin} marker-end="url(#{way})"/>'
        )

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
