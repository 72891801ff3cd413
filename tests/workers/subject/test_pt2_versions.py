"""Is the page of tried versions what was recorded, and does the record say what the service still does?"""

import json

from benchmarks.pt2_versions import PAGE, RECORD, page

RECORDED = json.loads(RECORD.read_text())


def test_the_page_is_generated_from_the_record() -> None:
    assert PAGE.read_text() == page(RECORDED)


def test_every_version_from_2_6_is_recorded_and_says_what_to_do_where_it_is_refused() -> None:
    versions = {version["torch"].rsplit(".", 1)[0]: version["networks"] for version in RECORDED["versions"]}
    assert {f"2.{minor}" for minor in range(6, 13)} <= set(versions)
    for networks in versions.values():
        assert set(networks) == {"Mlp", "Cnn", "Lstm", "Transformer"}
        for found in networks.values():
            assert found["outcome"] == "loads" or (found["outcome"] == "refused" and found["converted"] == "loads")
            assert found["outcome"] == "loads" or "torch 2.9 or newer" in found["remedy"]
