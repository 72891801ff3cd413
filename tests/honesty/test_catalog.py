"""What is checked in as generated is what would be generated now."""

from workers import catalog


def test_the_catalogue_is_the_registry() -> None:
    assert catalog.CATALOG.read_text() == catalog.text(), "run `make catalog`"


def test_the_readmes_table_is_the_registry() -> None:
    readme = catalog.README.read_text()
    assert catalog.BEGIN in readme
    assert readme == catalog.with_table(readme), "run `make catalog`"
