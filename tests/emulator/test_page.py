"""The web page."""

import requests

from tests.emulator.conftest import Client, custom_object, person


def page(client: Client, **query: str) -> str:
    """Return the HTML of a view."""
    answer = requests.get(client.emulator.url, params=query, timeout=5)
    assert answer.status_code == 200
    return answer.text


def test_views(fresh: Client) -> None:
    """Each view works without data and without credentials, and escapes values."""
    for view in ("people", "objects", "relationships", "activities", "nonsense"):
        assert "Nothing here" in page(fresh, view=view)
    relationship = {"identifiers": {"id": "ada"}, "relationship_attributes": {"role": "founder"}}
    fresh.identify({"id": "ada"}, {"email": "nonsense", "note": "<script>alert(1)</script>"})
    fresh.batch(
        custom_object("identify", "acme", attributes={"name": "Acme Corp"}, cio_relationships=[relationship])
    )
    assert "&lt;script&gt;" in page(fresh)
    assert "<script>" not in page(fresh)
    assert "Acme Corp" in page(fresh, view="objects")
    assert "founder" in page(fresh, view="relationships")
    assert "Everyone" in page(fresh, view="segments")
    assert "failed_attribute_change" in page(fresh, view="activities")


def test_search_and_pages(fresh: Client) -> None:
    """The search finds any attribute in any case, and a page has 25 people, the newest first."""
    fresh.batch(*(person("identify", {"id": f"p{n}"}, attributes={"city": f"City{n}"}) for n in range(30)))
    first, second = page(fresh), page(fresh, **{"from": "25"})
    assert ("City29<" in first, "City5<" in first, 'rel="next"' in first) == (True, True, True)
    assert ("City4<" in second, "City0<" in second, 'rel="next"' in second) == (True, True, False)
    found = page(fresh, q="cITY17")
    assert ("City17<" in found, "City18<" in found) == (True, False)
    assert "Nothing here" in page(fresh, q="no such person")
