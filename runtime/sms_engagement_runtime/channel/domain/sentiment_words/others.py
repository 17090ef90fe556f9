"""Words of thanks, praise and complaint in languages that are not judged by a vocabulary of their own."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

OTHER_LATIN: Final = Vocabulary(
    positive="""grazie grazia perfetto perfetta ottimo ottima eccellente bravi bravissimi bellissimo buono
    buona piaciuto dank bedankt dankjewel dankuwel goed prima mooi lekker tevreden tack bra takk tusen
    hyvä kiitos dziękuję dziekuje dzięki super świetnie polecam teşekkürler tesekkurler teşekkür sağol
    harika güzel mulțumesc multumesc köszönöm koszonom děkuji dekuji salamat terima kasih cảm shukran
    dhanyavaad shukriya arigato arigatou spasibo xiexie interessa""",
    weak_positive="evet tak",
    negative="""pessimo pessima brutto deluso delusa slecht teleurgesteld duur dålig źle zle kötü kotu rău
    rossz špatné schifo orribile vreselijk bakwas""",
    negations="nie niet geen niente inte ikke",
    refusals="nee",
)
"""Languages in Latin letters."""

POSITIVE: Final = """
    धन्यवाद|शुक्रिया|बहुत अच्छा|अच्छा|बढ़िया|शानदार|बहुत बढ़िया|पसंद आया|ठीक है|हाँ|खुश
    |ありがとう|有難う|良かった|よかった|最高|素晴らしい|すばらしい|嬉しい|うれしい|大好き|満足|美味しい|おいしい|気に入り|助かりました|はい
    |شكرا|شكراً|ممتاز|رائع|جميل|أحسنت|جيد جدا|جيد|نعم|حلو|أحببت
    |谢谢|謝謝|多谢|多謝|感谢|感謝|满意|滿意|很好|非常好|太好了|太棒|很棒|喜欢|喜歡|不错|不錯|好评|好評|推荐|推薦|好吃|赞
    |спасибо|благодарю|отлично|прекрасно|хорошо|замечательно|понравилось|супер|класс|рекомендую
    |감사|고마워|고맙|좋아요|좋았|최고|만족|훌륭|ευχαριστω|τελεια|תודה|מעולה|ขอบคุณ|ดีมาก|дякую|чудово
"""
"""Phrases in other scripts, found anywhere in a text: not all of these put spaces between words."""

NEGATIVE: Final = """
    बहुत बुरा|बुरा|खराब|बेकार|घटिया|नहीं चाहिए|मत भेजो|पसंद नहीं|अच्छा नहीं|बंद करो|धोखा
    |最悪|ひどい|悪い|不満|残念|嫌い|良くない|よくない|要りません|いりません|いらない|結構です|やめて|がっかり|遅い|まずい|良くなかった|よくなかった
    |سيء|سيئ|سيئة|رديء|فظيع|لا شكرا|لا أريد|غير مهتم|لست مهتم|توقف|احتيال|ليس جيد|مزعج
    |差评|差評|不好|很差|太差|糟糕|失望|垃圾|骗子|騙子|不满意|不滿意|不满|不喜欢|不喜歡|不要|不用了|不需要|不感兴趣|退订|退款|不行|难吃|差劲|慢死
    |плохо|ужасно|ужас|отвратительно|не понравилось|не интересует|не интересно|не надо|отстаньте|обман
    |разочарован|не пишите
    |나쁘|최악|별로|싫어|실망|관심 없|그만|환불|не рекомендую|не хорошо|χαλια|גרוע|לא מעוניין|แย่|погано
"""
