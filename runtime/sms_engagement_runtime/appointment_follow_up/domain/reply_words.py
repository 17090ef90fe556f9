"""The words of answers as ``replies`` reads them: lower case, without accents, apostrophes, punctuation."""

import re
from typing import Final

type Phrases = frozenset[tuple[str, ...]]


def _phrases(text: str) -> Phrases:
    return frozenset(tuple(phrase.split()) for phrase in text.split("|"))


CONFIRMS: Final = _phrases(
    """yes|y|o k|i can be there|will be there|ill be on time|i will be on time|we are coming|were coming
    |well come|we will come|it is|its fine|thats fine|that is fine|thats great|thats perfect|perfect
    |the time works|that time works|that time works for me|that time is perfect|ye|yea|yeah|yeh|yep|yup
    |yess|yesss|c|1|ok|okay|okey|oki|k|kk|confirm|confirmed|confirming|i confirm|we confirm|confirm it
    |1 to confirm|reply 1|option 1|number 1|i do|i will|i can|will do|sure|sure thing|of course
    |absolutely|definitely|certainly|correct|affirmative|i can make it|we can make it|i will be there
    |ill be there|we will be there|well be there|i will come|ill come|im coming|i am coming|count me in
    |works for me|that works|that works for me|it works|works|works great|sounds good|sounds great
    |ahi estaremos|alli estaremos|estaremos ahi|estaremos alli|das passt mir|das passt mir gut
    |passt mir gut|all good|confirm appointment|confirm my appointment|confirm the appointment
    |confirming my appointment|i confirm my appointment|i confirm the appointment|appointment confirmed
    |my appointment is confirmed
    |si|sii|siii|s|confirmo|confirmamos|confirmado|confirmada|confirmar|lo confirmo|la confirmo|vale
    |claro|claro que si|por supuesto|de acuerdo|desde luego|asistire|ire|voy|ahi estare|alli estare
    |estare ahi|estare alli|correcto|perfecto|opcion 1|confirmo mi cita|confirmo la cita|cita confirmada
    |confirmo asistencia|confirmo mi asistencia
    |oui|ouais|je confirme|confirme|confirmee|confirmer|nous confirmons|on confirme|cest confirme
    |daccord|dac|dacc|bien sur|cest bon|cest ok|cest parfait|ok pour moi|ca marche|ca me va
    |ca me convient|jy serai|je serai la|je serai present|je serai presente|je viens|je viendrai|entendu
    |parfait|avec plaisir|volontiers|je confirme le rendez vous|je confirme mon rendez vous
    |je confirme le rdv|je confirme mon rdv|rendez vous confirme|rdv confirme|je confirme ma presence
    |je confirme ma venue
    |ja|jaa|jawohl|jep|jup|klar|gerne|bestatigt|bestaetigt|bestatige|bestaetige|ich bestatige
    |ich bestaetige|hiermit bestatige ich|hiermit bestaetige ich|hiermit bestatige ich den termin
    |hiermit bestaetige ich den termin|hiermit bestatigt|hiermit bestaetigt|ich komme|wir kommen
    |ich bin da|bin da|bin dabei|ich bin dabei|passt|passt mir|das passt|einverstanden|in ordnung
    |geht klar|alles klar|selbstverstandlich|naturlich|wird gemacht|perfekt|ich bestatige den termin
    |ich bestaetige den termin|termin bestatigt|termin bestaetigt|termin passt|der termin passt
    |sim|simm|eu confirmo|combinado|com certeza|claro que sim|certo|beleza|blz|estarei la|estarei ai
    |eu vou|vou|vou sim|vou comparecer|irei|ta bom|tudo certo|pode confirmar|presenca confirmada
    |confirmo presenca|confirmo minha presenca|confirmo a presenca|confirmo o agendamento
    |confirmo o horario|agendamento confirmado|perfeito"""
)
"""What confirms where nothing else is said."""

COURTESIES: Final = _phrases(
    """please|pls|plz|thank you|thankyou|thanks|thank u|thanx|thx|ty|tysm|thank you so much
    |thank you very much|thank you kindly|thanks a lot|thanks so much|many thanks|much appreciated|hi
    |hello|hey|hi there|dear|sir|madam|maam|cheers|kind regards|regards|best|best regards|bye|see you
    |see ya|see u|cya|x|xx|xo|xoxo|c u|cu|see you then|see you there|see you soon|see you tomorrow
    |see u then|see u there|c u then|c u there|looking forward|looking forward to it
    |looking forward to seeing you|great|perfect|awesome|cool|good|excellent|wonderful|lovely|fine|and
    |have a nice day|have a great day|have a good day|good morning|good afternoon|good evening|morning
    |got it|noted|oh|team|everyone|guys|lol|haha|god bless|no problem|no worries|for the reminder
    |thanks for the reminder|thank you for the reminder|thanks for letting me know
    |gracias|muchas gracias|mil gracias|por favor|hola|buenas|buenos dias|buenas tardes|buenas noches
    |saludos|un saludo|genial|hasta luego|hasta manana|hasta pronto|hasta entonces|nos vemos
    |alli nos vemos|y
    |merci|merci beaucoup|merci bien|svp|sil vous plait|sil te plait|bonjour|bonsoir|salut|cordialement
    |bien cordialement|a bientot|a demain|bonne journee|bonne soiree|super|tres bien|madame|monsieur|et
    |danke|danke schon|dankeschon|danke schoen|vielen dank|besten dank|bitte|hallo|guten tag
    |guten morgen|guten abend|moin|servus|gruss|grusse|gruesse|lg|mfg|vg|viele grusse|liebe grusse
    |beste grusse|mit freundlichen grussen|freundliche grusse|bis dann|bis bald|bis morgen|prima|toll
    |freue mich|ich freue mich|tschuss|und|na
    |obrigado|obrigada|muito obrigado|muito obrigada|brigado|brigada|obg|ola|oi|bom dia|boa tarde
    |boa noite|por gentileza|ate|ate la|ate logo|ate amanha|ate breve|abraco|abracos|otimo|valeu|e"""
)
"""What may stand around anything, and says nothing by itself."""

RESCHEDULES: Final = _phrases("r|reply r|option r|r for another time")
"""What asks for another time where nothing else is said."""

CHANGES: Final = _phrases("change|move|cambiar|mover|changer|andern|aendern|mudar|trocar|alterar")
"""The same, unless a no stands before it: "no change"."""

BEFORE_RESCHEDULES: Final = _phrases(
    "yes|ok|okay|no|nope|sorry|so sorry|im sorry|i am sorry|si|lo siento|oui|non|desole|desolee|ja|nein"
    "|entschuldigung|leider|sim|nao|desculpe|desculpa"
)
"""What may stand before them, too."""

_DAY: Final = "(?:mon|tues|wednes|thurs|fri|satur|sun)day"

_OTHER_TIMES: Final = (
    # "The new time works" agrees to one, "a new time" asks for one; so in the other languages.
    r"(?:an? ?other|another|different|some other|any other|other) "
    r"(?:time|times|day|days|date|dates|slot|slots)(?! zone)",
    r"(?:a new|a better|an alternative|a later|an earlier) (?:time|date|slot|appointment|appt)",
    r"(?:later|earlier) (?:time|date|slot)",
    # "I have another appointment" is why somebody cannot come.
    r"(?:book|make|get|need|want|schedule|like|find) (?:an? ?other|another|a different) (?:appointment|appt)",
    r"(?:can|could|may|might) (?:we|i|you) (?:do|try|make) (?:it )?(?:\w+ )?"
    rf"(?:next (?:week|month)|later|earlier|tomorrow|instead|{_DAY})",
    r"(?:can|could|may|might) (?:we|i) come (?:\w+ ){0,2}instead",
    r"(?:anything|something|any) (?:later|earlier|sooner)",
    r"(?:otra|otro) (?:hora|fecha|dia|momento|horario|turno)",
    r"(?:hora|fecha|dia|horario) (?:distint[oa]|diferente)",
    r"una nueva (?:hora|fecha|cita)|un nuevo (?:dia|horario|turno)",
    r"d?autres? (?:heure|heures|date|dates|jour|jours|moment|creneau|creneaux|horaire|horaires|fois)",
    r"une nouvelle (?:heure|date)|un nouveau (?:creneau|rendez vous|rdv)",
    r"(?:prendre|fixer|trouver|reserver|voudrais|veux) (?:un )?(?:autre|nouveau) (?:rendez vous|rdv)",
    r"(?:andere|anderer|anderen|anderes|anderem) (?:termin|termine|zeit|zeiten|uhrzeit|tag|tage|datum|mal)",
    r"ein andermal|eine neue (?:zeit|uhrzeit)|einen neuen termin|ein neues datum"
    r"|neuer termin(?! (?:passt|ist|geht|klappt))",
    r"(?:geht|ginge|gehts) (?:es |das )?(?:auch )?(?:etwas |ein bisschen )?(?:spater|fruher)",
    r"outr[oa]s? (?:hora|horas|horario|horarios|dia|dias|data|datas|momento|ocasiao)",
    r"uma nova (?:data|hora)|um novo (?:dia|horario)",
)

_APPOINTMENT: Final = (
    "(?:appointment|appt|meeting|call|booking|time|times|date|dates|day|slot|session|visit|consultation)"
)
_MOVES: Final = (
    # Few spell it right in a hurry.
    r"re ?[schk]{1,4}edu(?:le|el)",
    r"(?:be|get|it|this|that) rescheduled",
    r"postpone",
    rf"(?:move|change|push|shift|switch|swap) (?:it|this|that|(?:(?:the|my|our|this|that) )?(?:\w+ )?"
    rf"{_APPOINTMENT})",
    r"push (?:it |this |that )?back",
    r"(?:can|could|may|might|should) (?:we|i|you) (?:please )?(?:move|push|shift) (?:to|back|up)",
    r"(?:reprogramar|reagendar|aplazar|posponer|postergar|cambiar|mover)(?:la|lo)",
    r"reprogramar|reagendar|aplazar|posponer|postergar|reprogramamos|reagendamos|aplazamos|reprogramemos|reagendemos|aplacemos",
    r"(?:cambiar|cambiamos|mover|movemos|modificar|adelantar|retrasar|atrasar) "
    r"(?:(?:de|la|el|mi|nuestra|esta|a) )?(?:\w+ )?(?:cita|hora|fecha|dia|horario|turno|reunion|reserva)",
    r"(?<!me )(?<!se )(?:reporter|decaler|deplacer|reprogrammer|replanifier)",
    r"(?:changer|modifier|avancer) (?:(?:de|la|le|mon|notre|ce|cette) )?(?:\w+ )?"
    r"(?:rendez vous|rdv|l?heure|dheure|date|jour|creneau|l?horaire|dhoraire)",
    r"verschieben|umbuchen|verlegen|vertagen",
    r"remarcar|remarcamos|reagendamos|adiar|antecipar",
    r"(?:mudar|trocar|alterar|modificar) (?:(?:de|a|o|do|da|minha|meu|nossa|nosso) )?(?:\w+ )?"
    r"(?:hora|horario|data|dia|reuniao|consulta|agendamento|compromisso|sessao)",
)

ANOTHER_TIME: Final = re.compile(rf"\b(?:{'|'.join((*_OTHER_TIMES, *_MOVES))})\b")
"""What asks for another time anywhere in a clause."""

TAKES_BACK: Final = re.compile(
    r"\b(?:the|that|this|every|each|last) other\b|\b(?:el|del) otro dia\b|\bo outro dia\b"
    # What was: "I came another time".
    r"|\b(?:was|were|been|came|went|happened)\b"
    # "Rescheduling is not needed."
    r"|\b(?:not|isnt|doesnt|wont) (?:be )?(?:needed|necessary|required|possible|work)\b"
    # "Ich habe einen anderen Termin" is why somebody cannot come.
    r"|\b(?:ich|wir) (?:hab|habe|haben)\b|\b(?:hab|habe) (?:ich|da|schon|leider|dann|einen)\b"
    # Another place is for a human.
    r"|\bto (?:an? )?(?:zoom|phone|video|teams|online|virtual|remote|in person)\b"
    r"|\breschedule (?:policy|fee|fees|rules)\b"
)
"""What makes of such a clause something else."""

NOT_BEFORE: Final = frozenset(
    """no not dont doesnt didnt wont never without shouldnt neednt did had why sin nunca jamas
    pas jamais sans ne nicht nie kein keine keinen ohne nao nem sem""".split()  # noqa: SIM905
)
"""What turns a request into its contrary, or into talk of the past, within three words before it."""

NOT_RIGHT_BEFORE: Final = frozenset({"cant", "cannot", "couldnt"})
"""The same, right before it: "I can't make it another time" is none."""

_ORDINALS: Final = (
    """1 first 1st uno primero primera primer 1o 1a un premier premiere 1er 1ere eins erste ersten erster
    erstes um primeiro primeira""",
    # Not segunda: a Monday in Portuguese.
    "2 two second 2nd dos segundo 2o deux deuxieme 2e 2eme zwei zweite zweiten zweiter zweites dois duas",
    """3 three third 3rd tres tercero tercera tercer 3o 3a trois troisieme 3e 3eme drei dritte dritten dritter
    drittes terceiro terceira""",
)
NUMBERS: Final = {word: number for number, words in enumerate(_ORDINALS, start=1) for word in words.split()}
"""What chooses one of several."""

ABOUT_NUMBERS: Final = _phrases(
    """the|a|an|number|no|nr|num|option|choice|reply|appointment|its|it is|i mean|i choose|i take|mean
    |choose
    |el|la|lo|opcion|numero|cita|es|elijo|quiero|le|chiffre|rendez vous|rdv|cest|je choisis|prends
    |der|die|das|den|nummer|zahl|termin|ich nehme|ich meine|ist|o|opcao|agendamento|compromisso|escolho"""
)
"""What may stand around such a number."""
