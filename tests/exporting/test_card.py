"""The card in a bundle says what the bundle's manifest says, in words."""

from trajerr.bundle.manifest import CARD, open_bundle
from trajerr.dataset.stats import read_stats
from trajerr.exporting.card import model_card


def test_the_bundle_has_a_sealed_card(exported, prepared):
    manifest = open_bundle(exported.folder).manifest
    card = (exported.folder / CARD).read_text(encoding="utf-8")
    assert card == model_card(manifest)
    assert manifest["files"][CARD]["bytes"] == len(card.encode())
    told = (
        *(f"identity `{manifest['machine']['identity']}`", manifest["checkpoint"]["sha256"]),
        *(f"{manifest['model']['parameters']:,} parameters", read_stats(prepared).identity),
        *("## Machine", "## Data", "## Metrics", "## Use", "## Limits"),
    )
    assert [text for text in told if text not in card] == []


def test_the_card_of_recordings_names_no_printer(exported):
    manifest = dict(open_bundle(exported.folder).manifest)
    manifest["printer"] = None
    manifest["machine"] = {"name": None, "identity": None, "recordings": ["ab12", "cd34"]}
    card = model_card(manifest)
    assert "A machine without a config, recordings ab12, cd34." in card
    assert "None" not in card
