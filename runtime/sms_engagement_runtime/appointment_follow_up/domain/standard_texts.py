"""What the texts about an appointment say where a deployment does not say it in its own words."""

from collections.abc import Mapping
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose

# Every letter is in the GSM alphabet, which has é, ñ, à and ü but neither á, í, ó, ê nor ç: one other would
# more than halve what a part holds. The word before a title must suit titles of either gender, so in
# languages where none does, the title stands by itself.
STANDARD_TEXTS: Final[Mapping[Purpose, Mapping[str, str]]] = {
    Purpose.CONFIRMATION: {
        "en": "Hi {{name}}, your {{event}} is on {{time}}. Reply 1 to confirm or R for another time.",
        "es": "Hola, {{name}}: tu {{event}} es el {{time}}. Responde 1 para confirmar o R para otra hora.",
        "fr": "Bonjour {{name}}, votre {{event}} : {{time}}. "
        "Répondez 1 pour confirmer, R pour une autre date.",
        "de": "Hallo {{name}}, gebucht: {{event}}, {{time}}. "
        "Antworten Sie mit 1 zum Bestätigen, R für eine andere Zeit.",
        "pt": "Oi, {{name}}! Agendado: {{event}}, {{time}}. Responda 1 para confirmar ou R para remarcar.",
    },
    Purpose.MOVED: {
        "en": "Hi {{name}}, your {{event}} is now on {{time}}. Reply 1 to confirm or R for another time.",
        "es": "Hola, {{name}}: tu {{event}} cambia al {{time}}. "
        "Responde 1 para confirmar o R para otra hora.",
        "fr": "Bonjour {{name}}, votre {{event}} passe au {{time}}. "
        "Répondez 1 pour confirmer, R pour une autre date.",
        "de": "Hallo {{name}}, neue Zeit: {{event}}, {{time}}. "
        "Antworten Sie mit 1 zum Bestätigen, R für eine andere.",
        "pt": "Oi, {{name}}! Nova data: {{event}}, {{time}}. Responda 1 para confirmar ou R para remarcar.",
    },
    Purpose.FOLLOW_UP: {
        "en": "Hi {{name}}, can you make your {{event}} on {{time}}? "
        "Reply 1 to confirm or R for another time.",
        "es": "Hola, {{name}}: ¿sigue en pie tu {{event}} el {{time}}? "
        "Responde 1 para confirmar o R para otra hora.",
        "fr": "{{name}}, votre {{event}} ({{time}}) vous convient ? "
        "Répondez 1 pour confirmer, R pour une autre date.",
        "de": "{{name}}, bleibt es dabei: {{event}}, {{time}}? "
        "Antworten Sie mit 1 zum Bestätigen, R für neue Zeit.",
        "pt": "{{name}}, tudo certo para {{event}}, {{time}}? Responda 1 para confirmar ou R para remarcar.",
    },
    Purpose.REMINDER: {
        "en": "Reminder, {{name}}: your {{event}} is on {{time}}. Reply 1 to confirm or R for another time.",
        "es": "Recordatorio, {{name}}: tu {{event}} es el {{time}}. "
        "Responde 1 para confirmar o R para otra hora.",
        "fr": "Rappel, {{name}} : votre {{event}}, {{time}}. "
        "Répondez 1 pour confirmer, R pour une autre date.",
        "de": "Zur Erinnerung, {{name}}: {{event}}, {{time}}. "
        "Antworten Sie mit 1 zum Bestätigen, R für neue Zeit.",
        "pt": "Lembrete, {{name}}: {{event}}, {{time}}. Responda 1 para confirmar ou R para remarcar.",
    },
    Purpose.REMINDER_CONFIRMED: {
        "en": "Reminder, {{name}}: your {{event}} is on {{time}}. See you then! Reply R for another time.",
        "es": "Recordatorio, {{name}}: tu {{event}} es el {{time}}. ¡Te esperamos! "
        "Responde R para otra hora.",
        "fr": "Rappel, {{name}} : votre {{event}}, {{time}}. A très vite. Répondez R pour une autre date.",
        "de": "Zur Erinnerung, {{name}}: {{event}}, {{time}}. Bis dann! "
        "Antworten Sie mit R für eine andere Zeit.",
        "pt": "Lembrete, {{name}}: {{event}}, {{time}}. Combinado! Responda R para remarcar.",
    },
    Purpose.CANCELLED: {
        "en": "Hi {{name}}, your {{event}} on {{time}} will not take place. Questions? Reply to this text.",
        "es": "Hola, {{name}}: tu {{event}} del {{time}} se ha cancelado. ¿Preguntas? Responde a este SMS.",
        "fr": "Bonjour {{name}}, votre {{event}} du {{time}} n'aura pas lieu. "
        "Une question ? Répondez à ce SMS.",
        "de": "Hallo {{name}}, findet nicht statt: {{event}}, {{time}}. Fragen? Antworten Sie auf diese SMS.",
        "pt": "Oi, {{name}}! Cancelado: {{event}}, {{time}}. Perguntas? Responda a este SMS.",
    },
    Purpose.NO_SHOW: {
        "en": "Hi {{name}}, we missed you at your {{event}}, {{time}}. Reply to this text for another time.",
        "es": "Hola, {{name}}: no pudimos verte en tu {{event}}, {{time}}. "
        "Para otra hora, responde a este SMS.",
        "fr": "Bonjour {{name}}, nous ne vous avons pas vu : {{event}}, {{time}}. "
        "Une autre date ? Répondez à ce SMS.",
        "de": "Hallo {{name}}, Sie waren nicht dabei: {{event}}, {{time}}. "
        "Für eine andere Zeit antworten Sie uns.",
        "pt": "Oi, {{name}}! Sentimos sua falta: {{event}}, {{time}}. Para remarcar, responda a este SMS.",
    },
    Purpose.FEEDBACK: {
        "en": "Hi {{name}}, how was your {{event}}? Tell us: {{link}}",
        "es": "Hola, {{name}}: ¿qué tal tu {{event}}? {{link}}",
        "fr": "Bonjour {{name}}, notez votre {{event}} : {{link}}",
        "de": "Hallo {{name}}, wie war es? {{event}}: {{link}}",
        "pt": "Oi, {{name}}! Avalie: {{event}}. {{link}}",
    },
    Purpose.RESCHEDULE: {
        "en": "Choose another time for your {{event}}: {{link}}",
        "es": "Elige otra hora para tu {{event}}: {{link}}",
        "fr": "Choisissez une autre date pour votre {{event}} : {{link}}",
        "de": "Hier eine andere Zeit wählen ({{event}}): {{link}}",
        "pt": "Escolha outra data para {{event}}: {{link}}",
    },
    Purpose.CALL_BACK: {
        "en": "Thank you, {{name}}. We will contact you to find another time for your {{event}}.",
        "es": "Gracias, {{name}}. Te contactaremos para buscar otra hora para tu {{event}}.",
        "fr": "Merci, {{name}}. Nous vous contacterons pour trouver une autre date pour votre {{event}}.",
        "de": "Danke, {{name}}. Wir melden uns wegen einer anderen Zeit ({{event}}).",
        "pt": "Certo, {{name}}. Entraremos em contato para remarcar {{event}}.",
    },
    Purpose.WHICH: {
        "en": "Which one do you mean? Reply with its number.\n{{choices}}",
        "es": "¿De qué cita se trata? Responde con su cifra.\n{{choices}}",
        "fr": "De quel rendez-vous s'agit-il ? Répondez par son chiffre.\n{{choices}}",
        "de": "Welchen Termin meinen Sie? Antworten Sie mit der Zahl.\n{{choices}}",
        "pt": "De qual compromisso se trata? Responda com o algarismo.\n{{choices}}",
    },
    Purpose.OPT_OUT: {
        "en": "You have been unsubscribed. Your appointment still stands. Reply START to subscribe again.",
        "es": "Ya no te enviaremos mensajes. Tu cita sigue en pie. Responde START para recibirlos de nuevo.",
        "fr": "Vous ne recevrez plus de SMS. Votre rendez-vous est maintenu. "
        "Répondez START pour en recevoir à nouveau.",
        "de": "Sie sind abgemeldet. Ihr Termin bleibt bestehen. "
        "Antworten Sie mit START, um sich wieder anzumelden.",
        "pt": "Os SMS foram desativados. Seu compromisso continua de pé. "
        "Responda START para receber de novo.",
    },
}
"""By purpose and locale."""

# As they follow "your", "tu" and "votre" in the standard texts; German and Portuguese have it in the word.
GENERAL_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("appointment", "our team"),
    "es": ("cita", "nuestro equipo"),
    "fr": ("rendez-vous", "notre équipe"),
    "de": ("Ihr Termin", "unserem Team"),
    "pt": ("seu compromisso", "nossa equipe"),
}
"""What stands for a title, and for a host, that cannot be said; by language."""
