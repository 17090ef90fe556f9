"""Whether a text says that it was not meant for whoever has the number: "sorry, wrong number".

Who says so gets no further text, which is why only a plain statement counts: in English, Spanish, French,
German or Portuguese, in a clause of its own. What merely mentions a wrong number is for a human: a question
("wrong number?"), a mistake of their own ("I have the wrong number"), a number of something else ("the wrong
number on my invoice").

Source of the duty: nobody who has a number since it changed hands has consented to texts to it
(47 U.S.C. § 227(b)(1)(A)(iii); 47 CFR 64.1200(m) on reassigned numbers).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a text between punctuation marks.

    Attributes
    ----------
    phrase
        Its words, in lower case without accents and apostrophes, a space between each two.
    is_question
        Whether it ends a sentence that is a question.
    """

    phrase: str
    is_question: bool = False


def says_wrong_number(clauses: Sequence[Clause]) -> bool:
    """Say whether a text states that the number is another person's."""
    # Nearly all texts end here, and no pattern is even made.
    if not any(map(_mentions, clauses)) or any(_OWN_MISTAKE.search(clause.phrase) for clause in clauses):
        return False
    return any(
        _statement().fullmatch(clause.phrase) is not None and not _is_asked(clauses[index:])
        for index, clause in enumerate(clauses)
    )


def may_say_wrong_number(clauses: Sequence[Clause]) -> bool:
    """Say whether a human should look: a wrong number is mentioned, and neither stated nor denied."""
    return any(
        _sign().search(_DENIED.sub("", clause.phrase)) is not None for clause in clauses if _mentions(clause)
    )


def _mentions(clause: Clause) -> bool:
    return _MENTION.search(clause.phrase) is not None


def _is_asked(clauses: Sequence[Clause]) -> bool:
    """Whether the first clause is a question, or becomes one by the next: "wrong number, right?"."""
    first, *rest = clauses
    return first.is_question or any(
        clause.is_question and _TAG.fullmatch(clause.phrase) is not None for clause in rest[:1]
    )


def _one_of(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


def _one_of_phrases(text: str) -> str:
    return _one_of(*(" ".join(phrase.split()) for phrase in text.split("|")))


_MENTION: Final = re.compile(
    r"\b(?:\w*num\w*|nmber|nunber|nbr|phone|telefone?o?|celular|contato"
    r"|w\w{0,2}ng|incorrect|right|not my name|by that name"
    r"|equivo\w+|confun\w+|errone[oa]|errad[oa]"
    r"|mauvaise?|faux|erreur|tromp\w+"
    r"|falsche?n?|verwa\w+|geirrt|vertan"
    r"|engan\w+)\b"
)
"""Without one of these words a text neither says so nor may say so."""

_OWN_MISTAKE: Final = re.compile(
    r"\b(?:o+ps|whoops|oopsie|my bad|my mistake|mi error|mon erreur|ma faute|mein fehler|meu erro"
    r"|i (?:meant|pressed|typed|hit|tapped|entered)|quise decir|je voulais dire|ich meinte|quis dizer)\b"
)
"""Who made a mistake does not say that we have: they wrote to the wrong one, or gave a wrong answer."""

_TAG: Final = re.compile(
    _one_of_phrases(
        """right|correct|no|yes|ok|okay|huh|eh|yeah|is it|isnt it|or not|or what|verdad|cierto|no es cierto
        |oder|ne|nicht wahr|richtig|non|nest ce pas|nao|nao e|certo"""
    )
)

# Courtesies, forms of address and noises of the five languages, on either side of a statement.
_FILLER: Final = _one_of_phrases(
    """im sorry|i am sorry|so sorry|very sorry|sorry|sry|apologies|excuse me|pardon me|im afraid|i am afraid
    |hi|hello|hey|hiya|no|nope|nah|yes|yeah|yep|ok|okay|well|um|umm|uh|uhh|hmm|oh|ah|so|and|but|just
    |please|pls|plz|thank you|thanks|thx|ty|regards|cheers|bye|goodbye|lol|lmao|haha|hahaha|omg|wtf
    |again|now|here|tho|though|fyi|sir|maam|madam|buddy|dude|man|bro|bruh|mate|pal|friend|my friend
    |hun|hon|honey|sweetie|boss|folks|guys|yall|i think|i believe|i guess|unfortunately|actually
    |obviously|clearly|definitely|certainly
    |hola|perdon|perdona|perdone|lo siento|lo sentimos|disculpe|disculpa|disculpen|gracias|senor|senora
    |senorita|amigo|amiga|saludos|si|pero|creo|creo que|me parece que|adios|buenas|buenos dias
    |buenas tardes|buenas noches|por favor
    |bonjour|bonsoir|salut|desolee?|je suis desolee?|excusez moi|pardon|merci|merci beaucoup|monsieur
    |madame|non|oui|mais|cordialement|bonne journee|bonne soiree|svp|sil vous plait|au revoir
    |je crois|je crois que|je pense|je pense que|ici
    |hallo|guten tag|guten morgen|guten abend|moin|servus|nein|ja|entschuldigung|entschuldigen sie
    |verzeihung|tut mir leid|es tut mir leid|tut mir sehr leid|danke|danke schon|bitte|leider|hier|da|aber
    |lg|mfg|gruss|grusse
    |ola|oi|bom dia|boa tarde|boa noite|desculpa|desculpas|desculpe|sinto muito|lamento|perdao|obrigad[oa]
    |obg|moco|moca|senhora?|nao|sim|mas|acho|acho que|tchau"""
)

# What a person adds without a comma: who they are or are not, whom they do not know, that it shall end.
_ADDED: Final = _one_of(
    r"(?:im|i am|this is|this isnt|its|it isnt|theres|there is|there are) (?:\w+ ?){1,3}",
    "(?:i dont|i do not|dont|i never) (?:know|knew) .{1,60}",
    "(?:my name|no one|noone|nobody) .{1,60}",
    "(?:who is|whos|who) (?:this|dis|that|are you|r u|r you)",
    "(?:stop|quit|remove|delete|update)(?: .{1,60})?",
    r"(?:yo )?no (?:soy|conozco|se quien)(?: \w+){1,4}",
    r"je ne (?:suis pas|connais)(?: \w+){1,4}",
    r"(?:ich )?(?:bin nicht|kenne kein\w*|heisse)(?: \w+){1,4}",
    r"(?:eu )?nao (?:sou|conheco)(?: \w+){1,4}",
)


def _not_one_of(words: str) -> str:
    """Give a look-ahead for what may stand for a name: no such word, which has a number of its own."""
    return f"(?!{_one_of_phrases(words)}\\b)"


# English
_NUMBER: Final = (
    "(?:(?:phone|cell|mobile|cellphone|telephone|contact) )?(?:number|numbr|numer|nmber|nunber|num|nbr)"
)
_PERSON: Final = "(?:person|guy|man|woman|lady|girl|dude)"
_WRONG: Final = "(?:wrong|worng|wrng)"
_WRONG_ONE: Final = f"(?:(?:the|a|an|teh) )?(?:{_WRONG}|incorrect) (?:{_NUMBER}|{_PERSON})"
_RIGHT_ONE: Final = f"(?:the|a) (?:right|correct) (?:{_NUMBER}|{_PERSON})"
_LEAD: Final = (
    "(?:(?:i|we|im|i am|we are) "
    "(?:think|believe|guess|suspect|reckon|fear|know|assume|sure|pretty sure|quite sure|afraid)(?: that)? )?"
)
_YOU: Final = "(?:you guys|you all|you people|you folks|yall|you|u|youve|uve|youre|ur|ya)"
_SURELY: Final = (
    "(?:(?:must|may|might|definitely|clearly|obviously|probably|apparently|still|just|seem to|appear to"
    "|accidentally|are|have|ve|had|keep|r) ){0,3}"
)
_REACH: Final = _one_of_phrases(
    """have|has|got|reached|reaching|hit|hit up|text|texted|texting|message|messaged|messaging|contact
    |contacted|contacting|called|calling|dialed|dialled"""
)
_TEXT: Final = "(?:this|that|the|your|these|those) (?:text|message|sms|texts|messages)"
_ANY_LONGER: Final = "(?:anymore|any more|any longer)"
_NAME: Final = (
    _not_one_of("my|your|our|the|a|an|its|i|this|that|order|tracking|account|sales|support|customer")
    + r"\w+(?: \w+)?"
)
_ENGLISH: Final = (
    f"{_WRONG} (?:{_NUMBER}|{_PERSON})",
    f"{_LEAD}{_YOU} {_SURELY}{_REACH} {_WRONG_ONE}",
    # "You sent it to the wrong person" may be about a parcel.
    f"{_LEAD}{_YOU} {_SURELY}(?:send|sent|sending) (?:(?:this|{_TEXT}) )?to (?:the|a) {_WRONG} {_NUMBER}",
    f"{_LEAD}{_YOU} {_SURELY}(?:send|sent|sending) {_TEXT} to (?:the|a) {_WRONG} {_PERSON}",
    f"{_LEAD}{_YOU} (?:dont|do not|didnt|did not) (?:have|reach|text) {_RIGHT_ONE}",
    # Not "that is the wrong number", which may be one that we named.
    f"{_LEAD}this(?: here)?(?: number)? (?:is|must be|has to be) (?:the|a) {_WRONG} {_NUMBER}",
    # What is left of "John's" is "johns".
    rf"(?:this|it) (?:is not|isnt|aint|is no longer) {_NAME}s {_NUMBER}(?: {_ANY_LONGER})?",
    f"this {_NUMBER} (?:no longer belongs|does not belong|doesnt belong) to {_NAME}(?: {_ANY_LONGER})?",
    f"this(?: {_NUMBER})? (?:is|(?:now )?belongs to) (?:someone|somebody) elses?(?: {_NUMBER})?(?: now)?",
    f"{_NAME} no longer (?:has|uses|owns) this {_NUMBER}",
    f"{_NAME} (?:doesnt|does not) (?:have|use|own) this {_NUMBER} {_ANY_LONGER}",
)

# Spanish
_NUMERO: Final = "(?:numero|num|nro|telefono|celular)"
_EQUIVOCADO: Final = f"(?:{_NUMERO} (?:equivocado|erroneo|errado|incorrecto)|persona equivocada)"
_USTED: Final = "(?:(?:usted|ud|tu|ustedes) )?"
_ES_NAME: Final = (
    _not_one_of(
        """mi|tu|su|la|el|los|las|un|una|pedido|orden|seguimiento|cuenta|soporte|atencion|servicio|factura
        |cliente|referencia"""
    )
    + r"\w+(?: \w+){0,2}"
)
_SPANISH: Final = (
    f"(?:(?:este |esto |ese |eso )?(?<!no )es (?:un |el |una |la )?)?{_EQUIVOCADO}",
    f"{_USTED}(?:se|te) (?:ha |has |han |habra )?"
    "(?:equivoco|equivocaste|equivocado|equivoca|equivocas|equivocaron|confundio|confundiste|confundido) "
    f"de (?:{_NUMERO}|persona)",
    f"{_USTED}(?:esta|estas|estan) (?:usted )?equivocad[oa]s? de (?:{_NUMERO}|persona)",
    f"{_USTED}(?:tiene|tienes|tienen|marco|marcaste|llamo|llamaste|escribio|escribiste|mando|mandaste|envio"
    "|enviaste|contacto|contactaste"
    "|(?:esta|estas|estan) (?:escribiendo|mandando|enviando|llamando|contactando|en|con))"
    "(?: (?:esto|(?:este|un|el) mensaje|este texto|mensajes))?"
    f"(?: (?:a|al|a la|con|en))?(?: (?:el|la|un|una))? {_EQUIVOCADO}",
    f"(?:este|ese|esto) (?:ya )?no es (?:mas )?(?:el )?{_NUMERO} de {_ES_NAME}",
)

# French
_NUMERO_FR: Final = "(?:numero|num)(?: de (?:telephone|tel|portable|mobile))?"
_MAUVAIS: Final = (
    f"(?:(?:mauvais|faux) {_NUMERO_FR}|{_NUMERO_FR} (?:incorrect|errone)"
    "|mauvaise personne|mauvais destinataire)"
)
_ERREUR_DE: Final = f"(?:{_NUMERO_FR}|personne|destinataire)"
_FR_NAME: Final = (
    _not_one_of(
        """commande|suivi|dossier|compte|la|le|les|mon|ma|votre|notre|ton|ta|facture|service|support|client
        |reference"""
    )
    + r"\w+(?: \w+){0,2}"
)
_FRENCH: Final = (
    f"(?:cest (?:un |le |la |une )?)?{_MAUVAIS}",
    "(?:cest une |il y a |vous faites |vous avez fait |tu fais |tu as fait )?"
    rf"erreur de {_ERREUR_DE}",
    "(?:vous|tu) (?:avez|as|faites|fais|avez fait|as fait|avez compose|as compose|ecrivez|ecris|avez ecrit"
    "|avez envoye|avez contacte|as contacte|contactez|contactes|etes|es)"
    f"(?: (?:ca|ceci|ce message|un message))?(?: (?:a|au|a la|sur|sur le))?(?: (?:le|un|la|une))? {_MAUVAIS}",
    f"vous vous (?:etes trompee?s?|trompez) de {_ERREUR_DE}",
    f"tu (?:te trompes|tes trompee?) de {_ERREUR_DE}",
    f"ce(?:ci)? nest (?:pas|plus) le {_NUMERO_FR} d[eu] {_FR_NAME}",
)

# German
_NUMMER: Final = "(?:nummer|handynummer|telefonnummer|rufnummer|mobilnummer)"
_FALSCHE: Final = f"falschen? (?:{_NUMMER}|person)"
_SIE: Final = "(?:sie|du|ihr)"
_HABEN: Final = "(?:haben|hast|habt)"
_WOHL: Final = "(?:(?:hier|wohl|leider|da|offenbar|sicher|bestimmt|wahrscheinlich|anscheinend) ){0,3}"
_ICH_GLAUBE: Final = "(?:(?:ich|wir) (?:glaube|denke|furchte|vermute|glauben|denken) )?(?:dass )?"
_GEIRRT: Final = "(?:verwahlt|verwaehlt|in der (?:nummer|person) geirrt|in der nummer vertan)"
_DE_NAME: Final = (
    _not_one_of(r"mein\w*|dein\w*|ihre\w*|unser\w*|der|dem|den|einer?|eurer?") + r"\w+(?: \w+){0,2}"
)
_GERMAN: Final = (
    f"(?:(?:das|dies|hier) ist {_WOHL}(?:die |eine )?)?{_FALSCHE}",
    "falsch verbunden",
    f"{_SIE} (?:sind|bist|seid) {_WOHL}(?:bei mir )?falsch(?: verbunden)?",
    f"{_ICH_GLAUBE}{_SIE} (?:{_HABEN}|schreiben|schreibst|kontaktieren|kontaktierst) "
    f"{_WOHL}(?:die |der |eine |an die |an eine )?{_FALSCHE}",
    f"{_ICH_GLAUBE}{_SIE} {_WOHL}(?:die |der |eine ){_FALSCHE} {_HABEN}",
    f"{_ICH_GLAUBE}(?:{_SIE} {_HABEN}|{_HABEN} {_SIE}) (?:sich|dich|euch) {_WOHL}{_GEIRRT}",
    f"(?:das|dies) ist (?:nicht|nicht mehr) (?:die )?{_NUMMER} von {_DE_NAME}",
    f"diese {_NUMMER} gehort (?:nicht|nicht mehr) (?:zu )?{_DE_NAME}",
)

# Portuguese
_NUMERO_PT: Final = "(?:numero|num|telefone|celular|contato)"
_ERRADO: Final = f"(?:{_NUMERO_PT} (?:errado|incorreto)|pessoa errada)"
_VOCE: Final = "(?:voces?|vcs?|o senhor|a senhora)"
_PT_NAME: Final = (
    _not_one_of(
        "pedido|minha|meu|sua|seu|suporte|conta|loja|entrega|rastreio|fatura|cliente|atendimento|encomenda"
    )
    + r"\w+(?: \w+){0,2}"
)
_PORTUGUESE: Final = (
    f"(?:(?:esse |este |isso |aqui )?(?<!nao )e (?:o |um |a )?)?{_ERRADO}",
    "(?:e|e um|foi um) engano|foi engano (?:seu|de voces?)",
    f"(?:(?:eu )?(?:acho|creio|acredito) que )?{_VOCE} (?:deve )?"
    "(?:esta|ta|estao|tao|estar|tem|ter|ligou|mandou|enviou|escreveu|discou|pegou|contatou|contactou)"
    "(?: (?:mandando|enviando|escrevendo|falando|ligando))?"
    "(?: (?:isso|mensagens|(?:(?:essa|esta|a) )?mensagem))?"
    f"(?: (?:com|para|pra|pro|no|ao|na|a|o|um|uma)){{0,3}} {_ERRADO}",
    f"(?:{_VOCE} )?(?:se )?engan(?:ou|aram|aste)(?: se| te)? (?:de|no|do) {_NUMERO_PT}",
    f"(?:este|esse|isto|isso) (?:ja )?nao e (?:mais )?o {_NUMERO_PT} d[aoe] {_PT_NAME}",
)


# Made with the first text that mentions a number: few processes of the router ever need them, and making them
# takes longer than anything else that is done about a text.
@cache
def _statement() -> re.Pattern[str]:
    # Every repetition is bounded, so that matching stays proportional to the text.
    statement = _one_of(*_ENGLISH, *_SPANISH, *_FRENCH, *_GERMAN, *_PORTUGUESE)
    after = f"(?: {_FILLER}){{0,6}}"
    return re.compile(f"(?:{_FILLER} ){{0,6}}{statement}{after}(?: {_ADDED})?{after}")


@cache
def _sign() -> re.Pattern[str]:
    # "The wrong number of cups" is a quantity, or a number of something; in Spanish, French and Portuguese
    # "de" says the same.
    numbers = _one_of(
        f"{_MAUVAIS}|erreur de numero|tromp\\w+ de {_ERREUR_DE}",
        r"(?:numero|num|telefono|persona) (?:equivocad|errone|incorrect|errad)[oa]",
        r"equivo\w+ de (?:numero|persona)",
        f"{_ERRADO}|engan\\w+ (?:se )?(?:de|no|do) numero",
    )
    return re.compile(
        rf"\b(?:(?:{_WRONG}|incorrect) (?:{_NUMBER}|{_PERSON})\b(?! of )"
        rf"|{numbers}\b(?! d[aeo] )"
        rf"|(?:not|dont have|do not have|didnt reach) {_RIGHT_ONE}|by that name|not my name"
        rf"|{_FALSCHE}|verwae?hlt|falsch verbunden|bei mir falsch)\b"
        "|^(?:equivocad[oa]|(?:foi |e )?engano)$"
    )


_DENIED: Final = re.compile(rf"\b(?:not|isnt|aint|wasnt) {_WRONG_ONE}")
