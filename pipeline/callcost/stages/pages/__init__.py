"""Pages for people: HTML and SVG that need nothing but themselves.

In: sums, and the record of a run. Out: one self-contained HTML document, readable without script, and its charts.
Open report_page.py first.
"""
