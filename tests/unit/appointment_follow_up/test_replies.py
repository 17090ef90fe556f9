import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain.replies import read_choice, read_reply
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.domain.keywords import Keyword, recognise

CONFIRMING = """\
YES
yes
Yes.
yEs!!!
 yes\t
"Yes"
(yes)
Y
y
C
c.
1
1.
 1 !
#1
(1)
'1'
１
ＹＥＳ
1️⃣
①
1 1
YES 1
Reply 1
1 to confirm
y\u0065\u200bs
Yes 👍
👍
👍🏽
👍👍🏿
👍, thank you!
✅
👌
✔️
OK
ok
okay
O.K.
k
Confirm
CONFIRMED
confirm!
I confirm
I confirm.
Yes, I confirm
yes confirm
Confirm my appointment please
Appointment confirmed, thanks
Yes, thank you!
Yes please
yes thanks so much
Yes! See you then.
YES see you there 😀
Hi, yes, thank you very much
Hello. Yes. Best regards
thanks, yes
OK great thanks
ok no problem
Yep
yeah sure
yup
Sure
sure thing!
Of course
absolutely
Sounds good
sounds good, thanks
That works for me
Works for me, see you tomorrow!
I'll be there
I’ll be there!
I´ll be there
I will be there
Yes I will be there, thank you
I can make it
count me in
Yes, that time works
That's fine
yes xx
Will do
Yes and thank you
Great, yes
Sí
si
SÍ, gracias
Sí, confirmo
Confirmo.
Confirmado
Lo confirmo, muchas gracias
Claro que sí
vale
De acuerdo, gracias
Allí estaré
Ahí estaré, saludos
sí, ahí estaremos
Perfecto, gracias
Hola, confirmo mi cita
Por supuesto
Oui
oui merci
Oui, c'est bon
Oui, je confirme
Je confirme
Je confirme le rendez-vous.
Bonjour, je confirme mon rdv. Merci, bonne journée
D'accord
d’accord, à demain
C'est confirmé
Ça marche
J'y serai
OK pour moi
Bien sûr
Parfait, merci beaucoup
Ja
JA
Ja, danke
Ja, gerne!
Ja klar
Jawohl
Bestätigt
bestaetigt
Ich bestätige
Hiermit bestätige ich den Termin
Ich bestätige den Termin. Viele Grüße
Passt, danke
Das passt, bis dann!
Ja, das passt mir gut
Termin passt
Alles klar, vielen Dank
Einverstanden
In Ordnung
Ich bin dabei
Sim
sim, obrigada
Sim, confirmo
Confirmado, obrigado!
Eu confirmo
Combinado
Com certeza
Pode confirmar
Confirmo presença
Estarei lá, até amanhã
Tá bom
Certo, valeu
"""

RESCHEDULING = """\
R
r
R.
r!
R?
Ｒ
R please
R, thanks
Reply R
ok R
Yes, R
No, R
Sorry, R
👍 R
Reschedule
RESCHEDULE
reschedule please
Re-schedule
reshedule pls
rescedule
rescheduel
rechedule pls
Change
Can I come Thursday instead?
Do you have anything later?
I need to reschedule
I'd like to reschedule.
Can we reschedule?
Could you reschedule me for next week please
Sorry I can't make it, can we reschedule?
I cant make it can we reschedule
Yes, but I'd like to reschedule
No. I need to reschedule, my dog is ill
Can it be rescheduled?
Another time
another time please
Another time?
An other time
No, another time
No another time please
other time
Is there any other time?
a different time
Different day please
Do you have a different slot?
Some other time
Some other day maybe
A later time would be better
Earlier date?
I need a new time
Can I book another appointment
Can we move it
can we move it?
Can we move it to Friday at 3
Could we move the meeting?
Please move my appointment
can i change the time
Change my appointment
I want to change my dentist appointment
Can we do it next week
Could we do Friday instead?
Can we push it back
Postpone
Can we postpone please?
Otra hora
Otra hora, por favor
¿Otro día?
otra fecha
No, otro día
Reprogramar
Reprogramemos
Cambiar
¿Podemos reprogramar?
Quisiera reagendar
Necesito cambiar la cita
Quiero cambiar mi cita
¿Puedo cambiar de hora?
¿Se puede cambiarla?
Podemos mover la reunión
¿Sería posible otro horario?
Una nueva fecha
Une autre date
Une autre heure, svp
Un autre jour
D'autres créneaux ?
Une autre fois
Je voudrais reporter
Peut-on décaler ?
Pouvons-nous déplacer le rendez-vous ?
Je dois changer de date
Je souhaite changer l'heure
Est-il possible de modifier le rdv
Je voudrais un autre rendez-vous
Prendre un autre rdv
Anderer Termin
Neuer Termin?
ein anderer Termin bitte
Einen anderen Termin
Haben Sie einen anderen Termin?
Andere Zeit
andere Uhrzeit?
Ein anderer Tag
ein anderes Mal
Ein andermal
Verschieben
Können wir verschieben?
Koennen wir den Termin verschieben
Ich muss den Termin leider verschieben
Bitte umbuchen
Ich brauche einen neuen Termin
Ginge es etwas später?
Outra hora
Outro horário
outro dia, por favor
Outra data?
Remarcar
Posso remarcar?
Preciso remarcar
Gostaria de reagendar
Podemos mudar o horário?
Quero trocar a data
Precisamos adiar
Um novo horário
"""

FOR_A_HUMAN = """\
no
No.
NO
Nope
no thanks
not yes
Not yet
yes but can I bring my dog
Yes, but can I bring my dog?
Yes?
OK?
1?
1pm?
1pm
1 pm
1:00
1 or 2
1/2
12
11
2
0
½
10
1st of May
Y?
y tu?
yes or no
yes/no
Y/N
yes and no
yes if it's sunny
maybe
maybe yes
I think so
Yes no
Yes, no
Yes 👎
👎
❌
👍👎
👍?
No 👍
👍 can I bring my dog
😀
🤷
.
?
!!!

\x20
\u200b
hello
thank you
thanks!
No problem
see you
great
C u
can
confirm?
confirm what
I can't confirm
I do not confirm
unconfirmed
not ok
ok but late
Yes I am running 10 minutes late
yes and can you send the address
Is it on Zoom?
Where is it?
Who is this
How much does it cost
I will be 5 min late
I can not make it
I can't come
I am ill
cancel
cancel my appointment
stop
R U there?
are you there
rr
Rx
1 R
1 or R
Y or R
C R
Don't reschedule
Please don't reschedule
I do not want to reschedule
no need to reschedule
No reschedule
I can't reschedule
why did you reschedule
Did you reschedule my appointment?
we already had to reschedule
Reschedule fee?
rescheduled
no change
No, change nothing
Can I change it to Zoom?
schedule
Another time zone?
Is this another time zone
no other time works
The other time is wrong
I was there the other day
I came another time
every other day
The new time works
the new date is fine
I have another appointment then
I moved
We are moving
moved to Boston
can you move the chairs
times
time
another
another one
other
different
No quiero cambiar la cita
no reprogramar
no cambiar
otra vez
El otro día
tengo otra cita
no puedo
no sé
si pero llego tarde
Sí, ¿dónde es?
quizás
Non
non merci
Je ne veux pas changer de date
pas besoin de reporter
oui mais en retard
l'autre jour
Je dois me déplacer
J'ai un autre rendez-vous
peut-être
Nein
nein danke
Bitte nicht verschieben
Ich will den Termin nicht verschieben
Ich habe einen anderen Termin
da habe ich leider einen anderen Termin
ja aber
Die neue Zeit
Neuer Termin passt nicht
vielleicht
Não
não obrigado
Não precisa remarcar
outra vez
sim mas vou atrasar
talvez
wrong number
ja nein
si no
oui non
sim não
Здравствуйте
да
はい
"""


def lines(text):
    return list(dict.fromkeys(text.splitlines()))


@pytest.mark.parametrize("body", lines(CONFIRMING))
def test_what_confirms(body):
    assert read_reply(body) is ReplyKind.CONFIRM


@pytest.mark.parametrize("body", lines(RESCHEDULING))
def test_what_asks_for_another_time(body):
    assert read_reply(body) is ReplyKind.RESCHEDULE


@pytest.mark.parametrize("body", [*lines(FOR_A_HUMAN), None])
def test_what_a_human_reads(body):
    assert read_reply(body) is ReplyKind.OTHER


@pytest.mark.parametrize("body", [*lines(CONFIRMING), *lines(RESCHEDULING)])
def test_no_answer_that_we_read_is_an_opt_out_or_doubtful(body):
    assert recognise(body) in (Keyword.CONFIRM, Keyword.FREE_TEXT)


@pytest.mark.parametrize("opt_out", ["STOP", "cancel", "End", "quit", "unsubscribe", "Arrêt", "opt out"])
def test_opt_out_words_are_no_answer(opt_out):
    assert recognise(opt_out) is Keyword.OPT_OUT
    assert read_reply(opt_out) is ReplyKind.OTHER
    assert read_reply(f"yes {opt_out}") is ReplyKind.OTHER


def test_a_letter_is_for_a_human():
    assert read_reply("yes " * 30) is ReplyKind.CONFIRM
    assert read_reply("yes " * 31) is ReplyKind.OTHER
    assert read_reply("can we reschedule " + "because of this and that " * 6) is ReplyKind.OTHER


@pytest.mark.parametrize(
    "body", ["y" * 100_000, "yes " * 100_000, "r " * 100_000, "１" * 100_000, "\ufdfa" * 100_000]
)
def test_a_long_answer_is_read_in_bounded_time(body):
    assert read_reply(body) is ReplyKind.OTHER
    assert read_choice(body, 3) is None


def test_what_no_text_can_hold_is_not_read():
    assert read_reply("yes" + " " * 1_597 + "no") is ReplyKind.CONFIRM
    assert read_reply("yes" + " " * 1_595 + "no") is ReplyKind.OTHER


@given(st.text())
def test_no_answer_is_an_error(body):
    assert read_reply(body) in ReplyKind
    assert read_choice(body, 3) in (None, 1, 2, 3)


@given(st.sampled_from([*lines(CONFIRMING), *lines(RESCHEDULING)]))
def test_a_courtesy_changes_nothing(body):
    expected = read_reply(body)

    assert read_reply(f"{body}, thank you!") is expected
    assert read_reply(f"Hi! {body}") is expected
    assert read_reply(body.upper()) is expected


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("1", 1),
        ("2", 2),
        ("3", 3),
        (" 2. ", 2),
        ("#2", 2),
        ("2)", 2),
        ("２", 2),
        ("2️⃣", 2),
        ("2 please", 2),
        ("Number 2", 2),
        ("No. 2", 2),
        ("option 3, thanks", 3),
        ("2 2", 2),
        ("two", 2),
        ("one", 1),
        ("Number one", 1),
        ("the first one", 1),
        ("The second one please", 2),
        ("the 2nd", 2),
        ("third", 3),
        ("I mean the second", 2),
        ("uno", 1),
        ("la primera", 1),
        ("El 2, por favor", 2),
        ("opción 3", 3),
        ("le deuxième", 2),
        ("la première svp", 1),
        ("c'est le 2", 2),
        ("der zweite", 2),
        ("Den ersten bitte", 1),
        ("Nummer 3", 3),
        ("o primeiro", 1),
        ("número 2, obrigado", 2),
        ("1º", 1),
        ("4", None),
        ("0", None),
        ("12", None),
        ("1 and 2", None),
        ("1 or 2", None),
        ("first and second", None),
        ("both", None),
        ("not 1", None),
        ("1?", None),
        ("2 pm", None),
        ("2pm", None),
        ("at 2", None),
        ("2:00", None),
        ("1,5", None),
        ("½", None),
        ("Dec 1", None),
        ("segunda", None),
        ("R", None),
        ("yes", None),
        ("the one", 1),
        ("number", None),
        ("", None),
        ("?", None),
        (None, None),
    ],
)
def test_which_one_is_chosen(body, number):
    assert read_choice(body, 3) == number


@pytest.mark.parametrize(("body", "number"), [("1", 1), ("2", 2), ("3", None), ("third", None)])
def test_only_what_was_offered_can_be_chosen(body, number):
    assert read_choice(body, 2) == number


def test_there_is_nothing_to_choose_of_nothing():
    assert read_choice("1", 0) is None
