"""What the review pages say, in each language that they speak.

The English words of the form itself are fixed; programs look for them. A language is added by one more
`Texts` below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sms_engagement_runtime.review_collector.domain.reviews import (
    RATING_NOT_A_NUMBER,
    RATING_OUT_OF_RANGE,
    RATING_REQUIRED,
    TEXT_NOT_TEXT,
    TEXT_TOO_LONG,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A message of one page: what is the matter, and what the person can do.

    Attributes
    ----------
    heading, detail
        First and second thing to read.
    action
        Caption of the button or link, where the page has one.
    """

    heading: str
    detail: str
    action: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Everything said in one language.

    Attributes
    ----------
    locale, direction
        Values of ``lang`` and ``dir``.
    remaining
        With ``{n}`` for the number of characters that are left.
    errors
        The fixed English words of an error to those of this language.
    """

    locale: str
    direction: Literal["ltr", "rtl"] = "ltr"
    heading: str
    rate: str
    stars: tuple[str, str, str, str, str]
    worst: str
    best: str
    tell_more: str
    placeholder: str
    submit: str
    sending: str
    remaining: str
    please_check: str
    errors: Mapping[str, str]
    thanks: Words
    updated: Words
    incomplete: Words
    invalid: Words
    expired: Words
    gone: Words
    closed: Words
    new_link: Words
    still_good: Words
    unreadable: Words
    too_large: Words
    unsupported: Words
    unavailable: Words


_EN = Texts(
    locale="en",
    heading="Review Your Purchase",
    rate="Rate your experience:",
    stars=("1 star", "2 stars", "3 stars", "4 stars", "5 stars"),
    worst="Poor",
    best="Excellent",
    tell_more="Tell us more (optional):",
    placeholder="Your feedback...",
    submit="Submit Review",
    sending="Sending…",
    remaining="{n} characters left",
    please_check="Please check:",
    errors={},
    thanks=Words(
        heading="Thank you for your review!", detail="It helps us, and everyone who comes after you."
    ),
    updated=Words(heading="Thank you for your review!", detail="We have changed it as you asked."),
    incomplete=Words(
        heading="Part of the link is missing",
        detail="Please open it again from the text message that we sent you.",
    ),
    invalid=Words(
        heading="This link does not work",
        detail="It may have been cut off on the way. Please open it again from the text message that we "
        "sent you.",
    ),
    expired=Words(
        heading="This link has expired",
        detail="Links work for a limited time. We would still love to hear from you and can text you a "
        "new one.",
        action="Text me a new link",
    ),
    gone=Words(
        heading="This review is no longer open",
        detail="There is nothing more for you to do. Thank you for stopping by!",
    ),
    closed=Words(
        heading="We have your review already",
        detail="It can no longer be changed. Thank you for taking the time!",
    ),
    new_link=Words(
        heading="A new link is on its way",
        detail="It comes by text message within a few minutes. You can close this page.",
    ),
    still_good=Words(
        heading="Your link still works", detail="There is no need for a new one.", action="Write your review"
    ),
    unreadable=Words(
        heading="We could not read that", detail="Please go back to the form and send it once more."
    ),
    too_large=Words(
        heading="That is more than we can take",
        detail="Please go back, shorten your text, and send it once more.",
    ),
    unsupported=Words(
        heading="We cannot read this format", detail="Please use the form that our link opens."
    ),
    unavailable=Words(
        heading="That did not work just now",
        detail="The fault is ours. Please try again in a minute; sending it twice does no harm.",
    ),
)

_ES = Texts(
    locale="es",
    heading="Valora tu compra",
    rate="Valora tu experiencia:",
    stars=("1 estrella", "2 estrellas", "3 estrellas", "4 estrellas", "5 estrellas"),
    worst="Mala",
    best="Excelente",
    tell_more="Cuéntanos más (opcional):",
    placeholder="Tu opinión...",
    submit="Enviar opinión",
    sending="Enviando…",
    remaining="Quedan {n} caracteres",
    please_check="Revisa lo siguiente:",
    errors={
        RATING_REQUIRED: "Falta la valoración",
        RATING_NOT_A_NUMBER: "La valoración debe ser un número",
        RATING_OUT_OF_RANGE: "La valoración debe estar entre 1 y 5",
        TEXT_TOO_LONG: "El texto supera el límite de 5000 caracteres",
        TEXT_NOT_TEXT: "La opinión debe ser un texto",
    },
    thanks=Words(
        heading="¡Gracias por tu opinión!", detail="Nos ayuda a nosotros y a quienes vengan después."
    ),
    updated=Words(heading="¡Gracias por tu opinión!", detail="La hemos cambiado como pediste."),
    incomplete=Words(
        heading="Falta una parte del enlace",
        detail="Ábrelo de nuevo desde el mensaje de texto que te enviamos.",
    ),
    invalid=Words(
        heading="Este enlace no funciona",
        detail="Puede que haya llegado cortado. Ábrelo de nuevo desde el mensaje de texto que te enviamos.",
    ),
    expired=Words(
        heading="Este enlace ha caducado",
        detail="Los enlaces funcionan por tiempo limitado. Aún nos encantaría saber tu opinión: podemos "
        "enviarte uno nuevo.",
        action="Quiero un enlace nuevo",
    ),
    gone=Words(
        heading="Esta opinión ya no está abierta",
        detail="No tienes que hacer nada más. ¡Gracias por tu visita!",
    ),
    closed=Words(heading="Ya tenemos tu opinión", detail="Ya no se puede cambiar. ¡Gracias por tu tiempo!"),
    new_link=Words(
        heading="Un enlace nuevo está en camino",
        detail="Llegará por mensaje de texto en unos minutos. Puedes cerrar esta página.",
    ),
    still_good=Words(
        heading="Tu enlace aún funciona", detail="No necesitas uno nuevo.", action="Escribe tu opinión"
    ),
    unreadable=Words(heading="No hemos podido leerlo", detail="Vuelve al formulario y envíalo otra vez."),
    too_large=Words(
        heading="Es más de lo que podemos recibir", detail="Vuelve atrás, acorta el texto y envíalo otra vez."
    ),
    unsupported=Words(
        heading="No podemos leer este formato", detail="Usa el formulario que abre nuestro enlace."
    ),
    unavailable=Words(
        heading="Ahora mismo no ha funcionado",
        detail="El fallo es nuestro. Inténtalo de nuevo en un minuto; no pasa nada si lo envías dos veces.",
    ),
)

_FR = Texts(
    locale="fr",
    heading="Donnez votre avis sur votre achat",
    rate="Notez votre expérience :",
    stars=("1 étoile", "2 étoiles", "3 étoiles", "4 étoiles", "5 étoiles"),
    worst="Mauvaise",
    best="Excellente",
    tell_more="Dites-nous en plus (facultatif) :",
    placeholder="Votre avis...",
    submit="Envoyer mon avis",
    sending="Envoi…",
    remaining="{n} caractères restants",
    please_check="Veuillez vérifier :",
    errors={
        RATING_REQUIRED: "La note est obligatoire",
        RATING_NOT_A_NUMBER: "La note doit être un nombre",
        RATING_OUT_OF_RANGE: "La note doit être comprise entre 1 et 5",
        TEXT_TOO_LONG: "Le texte dépasse la limite de 5000 caractères",
        TEXT_NOT_TEXT: "L’avis doit être un texte",
    },
    thanks=Words(heading="Merci pour votre avis !", detail="Il nous aide, ainsi que les prochains clients."),
    updated=Words(heading="Merci pour votre avis !", detail="Nous l’avons modifié comme vous le souhaitiez."),
    incomplete=Words(
        heading="Il manque une partie du lien",
        detail="Veuillez l’ouvrir à nouveau depuis le SMS que nous vous avons envoyé.",
    ),
    invalid=Words(
        heading="Ce lien ne fonctionne pas",
        detail="Il a peut-être été coupé en route. Veuillez l’ouvrir à nouveau depuis le SMS que nous "
        "vous avons envoyé.",
    ),
    expired=Words(
        heading="Ce lien a expiré",
        detail="Nos liens ont une durée limitée. Votre avis nous intéresse toujours : nous pouvons vous "
        "en envoyer un nouveau.",
        action="M’envoyer un nouveau lien",
    ),
    gone=Words(
        heading="Cet avis n’est plus ouvert", detail="Vous n’avez plus rien à faire. Merci de votre visite !"
    ),
    closed=Words(
        heading="Nous avons déjà votre avis",
        detail="Il ne peut plus être modifié. Merci d’avoir pris ce temps !",
    ),
    new_link=Words(
        heading="Un nouveau lien est en route",
        detail="Il arrive par SMS dans quelques minutes. Vous pouvez fermer cette page.",
    ),
    still_good=Words(
        heading="Votre lien fonctionne encore",
        detail="Vous n’avez pas besoin d’un nouveau lien.",
        action="Écrire mon avis",
    ),
    unreadable=Words(
        heading="Nous n’avons pas pu lire cela",
        detail="Veuillez revenir au formulaire et l’envoyer à nouveau.",
    ),
    too_large=Words(
        heading="C’est plus que nous ne pouvons recevoir",
        detail="Veuillez revenir en arrière, raccourcir votre texte et l’envoyer à nouveau.",
    ),
    unsupported=Words(
        heading="Nous ne pouvons pas lire ce format",
        detail="Veuillez utiliser le formulaire qu’ouvre notre lien.",
    ),
    unavailable=Words(
        heading="Cela n’a pas fonctionné",
        detail="L’erreur vient de nous. Veuillez réessayer dans une minute ; un double envoi est sans "
        "conséquence.",
    ),
)

_DE = Texts(
    locale="de",
    heading="Bewerten Sie Ihren Einkauf",
    rate="Bewerten Sie Ihre Erfahrung:",
    stars=("1 Stern", "2 Sterne", "3 Sterne", "4 Sterne", "5 Sterne"),
    worst="Schlecht",
    best="Ausgezeichnet",
    tell_more="Erzählen Sie uns mehr (freiwillig):",
    placeholder="Ihre Meinung...",
    submit="Bewertung absenden",
    sending="Wird gesendet…",
    remaining="Noch {n} Zeichen",
    please_check="Bitte prüfen Sie:",
    errors={
        RATING_REQUIRED: "Bitte vergeben Sie Sterne",
        RATING_NOT_A_NUMBER: "Die Bewertung muss eine Zahl sein",
        RATING_OUT_OF_RANGE: "Die Bewertung muss zwischen 1 und 5 liegen",
        TEXT_TOO_LONG: "Der Text ist länger als 5000 Zeichen",
        TEXT_NOT_TEXT: "Die Bewertung muss ein Text sein",
    },
    thanks=Words(
        heading="Vielen Dank für Ihre Bewertung!", detail="Sie hilft uns und allen, die nach Ihnen kommen."
    ),
    updated=Words(heading="Vielen Dank für Ihre Bewertung!", detail="Wir haben sie wie gewünscht geändert."),
    incomplete=Words(
        heading="Ein Teil des Links fehlt",
        detail="Bitte öffnen Sie ihn noch einmal aus der SMS, die wir Ihnen geschickt haben.",
    ),
    invalid=Words(
        heading="Dieser Link funktioniert nicht",
        detail="Vielleicht wurde er unterwegs abgeschnitten. Bitte öffnen Sie ihn noch einmal aus der "
        "SMS, die wir Ihnen geschickt haben.",
    ),
    expired=Words(
        heading="Dieser Link ist abgelaufen",
        detail="Links gelten nur eine begrenzte Zeit. Wir hören immer noch gern von Ihnen und schicken "
        "Ihnen einen neuen.",
        action="Neuen Link per SMS schicken",
    ),
    gone=Words(
        heading="Diese Bewertung ist nicht mehr offen",
        detail="Sie müssen nichts weiter tun. Danke für Ihren Besuch!",
    ),
    closed=Words(
        heading="Ihre Bewertung ist schon bei uns",
        detail="Sie kann nicht mehr geändert werden. Danke, dass Sie sich die Zeit genommen haben!",
    ),
    new_link=Words(
        heading="Ein neuer Link ist unterwegs",
        detail="Er kommt in wenigen Minuten per SMS. Sie können diese Seite schließen.",
    ),
    still_good=Words(
        heading="Ihr Link funktioniert noch",
        detail="Sie brauchen keinen neuen.",
        action="Bewertung schreiben",
    ),
    unreadable=Words(
        heading="Das konnten wir nicht lesen",
        detail="Bitte gehen Sie zum Formular zurück und senden Sie es noch einmal ab.",
    ),
    too_large=Words(
        heading="Das ist mehr, als wir annehmen können",
        detail="Bitte gehen Sie zurück, kürzen Sie den Text und senden Sie ihn noch einmal ab.",
    ),
    unsupported=Words(
        heading="Dieses Format können wir nicht lesen",
        detail="Bitte benutzen Sie das Formular, das unser Link öffnet.",
    ),
    unavailable=Words(
        heading="Das hat gerade nicht geklappt",
        detail="Der Fehler liegt bei uns. Bitte versuchen Sie es in einer Minute noch einmal; doppelt "
        "senden schadet nicht.",
    ),
)

_AR = Texts(
    locale="ar",
    direction="rtl",
    heading="قيّم عملية الشراء",
    rate="قيّم تجربتك:",
    stars=("نجمة واحدة", "نجمتان", "3 نجوم", "4 نجوم", "5 نجوم"),
    worst="سيئة",
    best="ممتازة",
    tell_more="أخبرنا المزيد (اختياري):",
    placeholder="رأيك...",
    submit="إرسال التقييم",
    sending="جارٍ الإرسال…",
    remaining="عدد الأحرف المتبقية: {n}",
    please_check="يرجى التحقق مما يلي:",
    errors={
        RATING_REQUIRED: "التقييم مطلوب",
        RATING_NOT_A_NUMBER: "يجب أن يكون التقييم رقمًا",
        RATING_OUT_OF_RANGE: "يجب أن يكون التقييم بين 1 و5",
        TEXT_TOO_LONG: "النص يتجاوز الحد الأقصى وهو 5000 حرف",
        TEXT_NOT_TEXT: "يجب أن يكون الرأي نصًا",
    },
    thanks=Words(heading="شكرًا لك على تقييمك!", detail="إنه يساعدنا ويساعد كل من يأتي بعدك."),
    updated=Words(heading="شكرًا لك على تقييمك!", detail="لقد عدّلناه كما طلبت."),
    incomplete=Words(
        heading="جزء من الرابط مفقود", detail="يرجى فتحه مرة أخرى من الرسالة النصية التي أرسلناها إليك."
    ),
    invalid=Words(
        heading="هذا الرابط لا يعمل",
        detail="ربما اقتُطع جزء منه. يرجى فتحه مرة أخرى من الرسالة النصية التي أرسلناها إليك.",
    ),
    expired=Words(
        heading="انتهت صلاحية هذا الرابط",
        detail="تعمل الروابط لفترة محدودة. ما زلنا نود معرفة رأيك ويمكننا أن نرسل إليك رابطًا جديدًا.",
        action="أرسلوا لي رابطًا جديدًا",
    ),
    gone=Words(heading="هذا التقييم لم يعد متاحًا", detail="لا يلزمك فعل أي شيء آخر. شكرًا لزيارتك!"),
    closed=Words(heading="لقد وصلنا تقييمك من قبل", detail="لم يعد بالإمكان تعديله. شكرًا لك على وقتك!"),
    new_link=Words(
        heading="رابط جديد في الطريق إليك",
        detail="سيصلك برسالة نصية خلال دقائق. يمكنك إغلاق هذه الصفحة.",
    ),
    still_good=Words(heading="رابطك ما زال يعمل", detail="لا حاجة إلى رابط جديد.", action="اكتب تقييمك"),
    unreadable=Words(heading="لم نتمكن من قراءة ذلك", detail="يرجى العودة إلى النموذج وإرساله مرة أخرى."),
    too_large=Words(
        heading="هذا أكثر مما يمكننا استلامه", detail="يرجى العودة واختصار النص وإرساله مرة أخرى."
    ),
    unsupported=Words(
        heading="لا يمكننا قراءة هذا التنسيق", detail="يرجى استخدام النموذج الذي يفتحه رابطنا."
    ),
    unavailable=Words(
        heading="لم ينجح ذلك الآن",
        detail="الخطأ من جانبنا. يرجى المحاولة مرة أخرى بعد دقيقة، ولا ضرر من الإرسال مرتين.",
    ),
)

DEFAULT: Final = _EN

BY_LANGUAGE: Final[Mapping[str, Texts]] = {texts.locale: texts for texts in (_EN, _ES, _FR, _DE, _AR)}


def choose_texts(accept_language: str | None) -> Texts:
    """Pick the language of a page.

    Parameters
    ----------
    accept_language
        The header's value, untrusted. Tags are tried by falling weight (RFC 9110 §12.5.4), each with its
        fallbacks ``fr-CA → fr``; where none is spoken here, English. Only the first 256 characters are read.
    """
    ranges: list[tuple[float, str]] = []
    for entry in (accept_language or "")[:256].split(","):
        tag, _, parameters = entry.strip().partition(";")
        ranges.append((_weight(parameters), tag.strip().lower()))
    for weight, tag in sorted(ranges, key=lambda weighted: -weighted[0]):
        if weight > 0 and (texts := BY_LANGUAGE.get(tag.partition("-")[0])):
            return texts
    return DEFAULT


def _weight(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
