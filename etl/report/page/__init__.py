"""The night on one page: one HTML file that asks nothing of any server. Start with ``page``.

``night.html.j2`` is the page, ``night.css`` how it looks, ``night.js`` what sorts, searches and opens it. ``timeline``
and ``charts`` compute what is drawn, ``packed`` what the script needs; ``figures`` writes numbers for people. Only this
package uses Jinja2.
"""
