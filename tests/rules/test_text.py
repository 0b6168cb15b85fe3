"""Folding: what counts as the same word."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.text import MAX_CHARACTERS, fold, has_emoji, phrase


@pytest.mark.parametrize(
    "text",
    [
        "Stop!!",
        "“stop”.",
        "ＳＴＯＰ",
        "st\u200bop",
        "STOP 🛑",
        " stop\n",
        "s\u0336t\u0336op",
        "ⓢⓣⓞⓟ",
        "sto\u00adp",
        "\u202estop",
        "stóp",
    ],
)
def test_stop_in_any_clothing_is_one_word(text: str) -> None:
    assert fold(text).words == ("stop",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("S.T.O.P", ["s", "t", "o", "p"]),
        ("don't", ["dont"]),
        ("don’t", ["dont"]),
        ("don´t", ["dont"]),
        ("don`t", ["dont"]),
        ("únete", ["unete"]),
        ("Straße", ["strasse"]),
        ("ÉCOLE", ["ecole"]),
        ("e\u0301cole", ["ecole"]),
        ("e\u200b\u0301cole", ["ecole"]),
        ("Ελλάδα", ["ελλαδα"]),
        ("ёлка", ["елка"]),
        ("1️⃣", ["1"]),
        ("٣٤", ["34"]),
        ("१२", ["12"]),
        ("１２", ["12"]),
        ("x²", ["x2"]),
        ("½", ["1", "2"]),
        ("a_b-c/d", ["a", "b", "c", "d"]),
        ("ＡＢＣ", ["abc"]),
        ("ﬁne", ["fine"]),
        ("İstanbul", ["istanbul"]),
        ("st\0op", ["st", "op"]),
        ("a\ud800b", ["a", "b"]),
        ("a,\u0301b", ["a", "b"]),
        ("", []),
        ("?!…", []),
    ],
)
def test_a_text_is_folded_into_words(text: str, words: list[str]) -> None:
    assert list(fold(text).words) == words


@pytest.mark.parametrize("word", ["น้ำ", "ที่นี่", "हिन्दी", "दवाई", "한국어", "営業時間", "שלום", "สั่ง"])
def test_marks_of_other_scripts_are_kept(word: str) -> None:
    folded = fold(word)
    assert len(folded.words) == 1
    assert unicodedata.normalize("NFC", folded.words[0]) == unicodedata.normalize(
        "NFC", unicodedata.normalize("NFKC", word)
    )


def test_thai_words_that_differ_in_a_mark_stay_different() -> None:
    assert fold("ที่").words != fold("ที").words


class TestEmoji:
    @pytest.mark.parametrize("text", ["👍", "👍🏽", "👍\ufe0f", "👍🏿!"])
    def test_are_words_of_their_own_without_skin_tone(self, text: str) -> None:
        assert fold(text).symbols == ("👍",)
        assert fold(text).words == ()

    def test_are_ignored_between_words(self) -> None:
        assert fold("blue 💙 book").words == ("blue", "book")
        assert fold("blue💙book").symbols == ("blue", "💙", "book")

    def test_joined_by_zero_width_joiners_are_their_parts(self) -> None:
        assert fold("👩\u200d⚕️").symbols == fold("👩⚕").symbols

    def test_newer_than_this_python_are_emoji_too(self) -> None:
        assert fold("\U0001fae9").symbols == ("\U0001fae9",)

    def test_the_place_of_an_attachment_is_none(self) -> None:
        assert not fold("\ufffc\ufffd")

    def test_count_in_a_rules_own_word(self) -> None:
        assert has_emoji(phrase("yes 👍"))
        assert not has_emoji(phrase("yes"))


def test_only_the_first_1600_characters_count() -> None:
    assert fold("a" * MAX_CHARACTERS + "b").words == ("a" * 1600,)
    assert fold("x " * 800 + "stop").words == ("x",) * 800
    assert fold("é " * 800 + "stop").words == ("e",) * 800


def test_sentences_end_where_people_end_them() -> None:
    text = "Who is this? Stop! ok"
    assert [item.joined for item in fold(text).sentences] == ["who is this", "stop", "ok"]


def test_one_sentence_is_the_whole() -> None:
    folded = fold("just this.")
    assert folded.sentences == (folded,)


@given(st.text(max_size=300))
@example("e\u200b\u0301")
@example("ŉ")
@example("\u0345")
@example("\u1e9e")
def test_folding_what_was_folded_changes_nothing(text: str) -> None:
    words = fold(text).words
    assert fold(" ".join(words)).words == words


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=200))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert fold(text).words == fold(text + " é").words[:-1]


LATIN = st.text(alphabet="abcdefghijklmnopqrstuvwxyzáéñüçøšž", min_size=1, max_size=12)


@given(st.lists(LATIN, min_size=1, max_size=6), st.sampled_from([" ", ", ", "... ", "\n", " – ", "!? ", "\t"]))
def test_case_punctuation_and_accents_do_not_matter_to_latin_words(words: list[str], between: str) -> None:
    plain = fold(" ".join(words))
    assert fold(between.join(words).upper() + "!").words == plain.words
    assert fold("“" + between.join(word.title() for word in words) + "”").words == plain.words
    assert fold(unicodedata.normalize("NFD", " ".join(words))).words == plain.words
    assert fold("".join(c + "\u0301" for c in between.join(words))).words == plain.words


@given(st.text())
def test_no_word_is_empty_or_has_a_space(text: str) -> None:
    folded = fold(text)
    assert all(word and not any(c.isspace() for c in word) for word in folded.symbols)
    assert len(folded.words) <= len(folded.symbols)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("!?.;\n。！a\u0301\u20e3é👍🏽’ ")), max_size=60))
def test_a_text_folds_as_its_sentences_do(text: str) -> None:
    without_ends = "".join(" " if character in "!?.;\n。！？؟।" else character for character in text)
    assert fold(text) == fold(without_ends)
