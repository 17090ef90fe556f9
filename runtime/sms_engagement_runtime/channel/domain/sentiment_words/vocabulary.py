"""The shape of one language's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Words of one language, in any case, with accents or without.

    Words are separated by white space, phrases by ``|``. A word that ends in a sign of ``endings`` stands for
    all its forms: "bonit@" for bonito, bonita, bonitos, bonitas.

    Attributes
    ----------
    strong_positive, positive, weak_positive
        What pleases. A weak word decides nothing in a sentence unless it is denied, or there is a second.
    strong_negative, negative, weak_negative
        What displeases.
    unwanted
        Negative words whose denial is not yet praise: "don't cancel".
    agreements
        Count where a clause begins with them.
    refusals
        Deny what follows, and where nothing does, refuse.
    negations
        Deny what follows.
    late_negations
        Deny the verb before them too: "gefällt mir nicht", "j'aime pas".
    verbs
        Words among the positive or expected ones to which that happens.
    expected
        Say nothing unless denied: "nobody came".
    intensifiers, proud_intensifiers, diminishers
        More of what follows; the proud ones are praise where nothing follows: "super".
    contrasts
        What comes after weighs more.
    concessions
        The clause that they begin weighs less.
    positive_phrases, negative_phrases, neutral_phrases
        Read as a whole, whatever their words say.
    rebukes
        Questions that expect no answer: "what is wrong with you?"
    question_starts
        Phrases that begin a question, with a question mark or without.
    innocent
        Words that another language judges, and that say nothing in this one.
    markers
        Frequent words of this language, by which it is told from others.
    """

    endings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strong_positive: str = ""
    positive: str = ""
    weak_positive: str = ""
    strong_negative: str = ""
    negative: str = ""
    weak_negative: str = ""
    unwanted: str = ""
    agreements: str = ""
    refusals: str = ""
    negations: str = ""
    late_negations: str = ""
    verbs: str = ""
    expected: str = ""
    intensifiers: str = ""
    proud_intensifiers: str = ""
    diminishers: str = ""
    contrasts: str = ""
    concessions: str = ""
    positive_phrases: str = ""
    negative_phrases: str = ""
    rebukes: str = ""
    neutral_phrases: str = ""
    question_starts: str = ""
    innocent: str = ""
    markers: str = ""

    def forms(self, words: str) -> Iterator[str]:
        """Give each word in all its forms."""
        for word in words.split():
            endings = self.endings.get(word[-1])
            if endings is None:
                yield word
            else:
                yield from (word[:-1] + ending for ending in endings)


def phrases(text: str) -> Iterator[tuple[str, ...]]:
    """Give the phrases of a text, each as its words."""
    for phrase in text.split("|"):
        if words := tuple(phrase.split()):
            yield words
