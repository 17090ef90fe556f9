"""German words, with umlauts as letters of their own or spelled out."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

GERMAN: Final = Vocabulary(
    endings={"~": ("", "e", "er", "es", "en", "em")},
    strong_positive="""ausgezeichnet~ hervorragend~ perfekt~ fantastisch~ wunderbar~ großartig~ grossartig~
    exzellent~ spitze klasse toll~ liebe lieben liebte geliebt begeistert begeisternd traumhaft~ genial~
    köstlich~ koestlich~ unschlagbar~ sensationell~ fabelhaft~ vorzüglich~ bestens hammer bombe geil~
    einwandfrei~ tadellos~ phänomenal~ weltklasse erstklassig~ beste besten bester bestes wundervoll~
    lecker~ top herzlichen herzlichst strahlend strahlt strahlte rundum weiterempfohlen weiterempfehlen
    weiterempfehle topp wahnsinn""",
    positive="""gut~ besser schöne schöner schönes schönen wunderschön~ schoen~ nett~ freundlich~ zufrieden
    glücklich~ froh freue freuen freu gefreut danke dank danken dankeschön dankbar gerne gern gefällt
    gefiel gefallen empfehle empfehlen empfehlenswert~ empfohlen schnell~ pünktlich~ puenktlich~ sauber~
    hilfsbereit~ hilfreich~ kompetent~ professionell~ höflich~ hoeflich~ zuvorkommend~ aufmerksam~
    angenehm~ gemütlich~ günstig~ fair~ ehrlich~ zuverlässig~ zuverlaessig~ bestätige bestaetige
    bestätigt schmeckt schmeckte geschmeckt lob kompliment bravo prima spaß spass cool~ nice stark
    erfolgreich~ geholfen unkompliziert~ reibungslos~ problemlos~ interessiert interessant~ interesse
    preiswert~ sympathisch~ geduldig~ ordentlich~ gelungen~ wow juhu hurra lohnt gelohnt mag überzeugt
    beeindruckt beeindruckend wohl wohlgefühlt glückwunsch sorgfältig~ vertrauen lächeln gelächelt stolz
    entspannt beruhigend organisiert~ aufmerksame bequem~ günstige heil fröhlich~ erleichtert
    gelassen herzlich~ liebevoll~ gründlich~ einwandfreie bezahlbar~ knusprig~ saftig~ zart~ charmant~
    geschmackvoll~ strahlen ruhig~ lachen kulant kulante verständnisvoll~ flott~ zügig~ transparente
    verständlich~""",
    weak_positive="""möchte moechte kaufen kaufe bestellen bestelle nehme ok okay okey passt klappt
    funktioniert will läuft laeuft geht klar einverstanden stimmt willkommen""",
    strong_negative="""schrecklich~ furchtbar~ katastrophe katastrophal~ betrug betrüger abzocke abzocker
    ekelhaft~ eklig~ grauenhaft~ grauenvoll~ unverschämt~ unverschämtheit frechheit schlechteste
    schlechtesten hasse hassen scheiße scheisse scheiss scheiß mies~ miserabel miserable miserablen
    unterirdisch~ widerlich~ horror spam inakzeptabel zumutung saftladen mist müll muell lächerlich~
    skandal schande entsetzlich~ belästigung dreist~ schlimm~ schlimmste""",
    negative="""schlecht~ schlechter unzufrieden enttäuscht~ enttaeuscht~ enttäuschend~ enttäuschung
    unfreundlich~ langsam~ teuer~ teure teuren überteuert~ ueberteuert~ kalt~ schmutzig~ dreckig~
    kaputt~ defekt~ beschädigt~ verspätet verspätung verspaetung problem probleme problemen fehler
    mangelhaft~ mängel beschwerde beschweren beschwere ärgerlich~ aergerlich~ ärger verärgert sauer
    wütend nervt nerven nervig~ genervt traurig~ leider schade verloren zeitverschwendung
    geldverschwendung unpünktlich~ unhöflich~ inkompetent~ unprofessionell~ arrogant~ respektlos~ lügen
    lüge lügner gelogen stress stressig~ chaos chaotisch~ langweilig~ ungenießbar~ versalzen~ verbrannt~
    zäh fade unbequem~ schmerzen schmerzhaft rückerstattung erstattung reklamation reklamieren stürzt
    abgestürzt absturz doof~ blöd~ bloed~ idioten idiot ungenügend mäßig~ gelangweilt zumüllen
    belästigen belästigt stört stören umtausch ungenau~ schlampig~ pfui igitt bäh unverschämterweise
    unbrauchbar~ nutzlos~ sinnlos~ unseriös~ bereue bereuen unfähig~ überfordert~ verschwendung
    unordentlich~ abgebucht zerdrückt~ zerkratzt~ zerrissen~ fleckig~ flecken schimmel schimmlig~
    kakerlake kakerlaken erbrochen aufgelegt angeschrien ignoriert unvollständig~
    gelogene verwechselt schief~ undicht~ tropft eiskalt~ lauwarm~ abgelaufen~ versäumt
    abgesagt sitzengelassen gehetzt gestresst empört~ entsetzt fassungslos abgezockt betrogen bestohlen
    geklaut wackelig~ überfüllt~ nachlässig~ ungepflegt~ stinkt gestunken klebrig~ penetrant~
    aufdringlich~ zudringlich~ unpassend~ verärgerte angebrannt~ geschmacklos~ lieblos~ kratzt fehlte
    fehlten wartezeit überbucht""",
    weak_negative="warten gewartet spät laut sorry entschuldigung entschuldigen",
    unwanted="""falsch~ abmelden abbestellen löschen loeschen lösche löscht austragen kündigen kuendigen
    kündige stornieren storniere absagen aufhören stopp stoppen meckern entfernen entfernt""",
    agreements="ja jo jep jup jawohl jaa klar gern gerne ok okay sicher natürlich passt einverstanden genau ",
    refusals="nein nö nee ne nope",
    negations="""nicht nich nix nichts kein keine keinen keiner keinem keines keinerlei nie niemals niemand
    weder ohne kaum""",
    late_negations="nicht nich nie",
    verbs="""gefällt gefiel mag liebe funktioniert funktionieren empfehle passt klappt lohnt stimmt
    schmeckt schmeckte geht läuft will möchte brauche antwortet antworten freue""",
    expected="""antwortet antworten geantwortet gemeldet meldet gekommen kommt kam erreicht erreichbar
    angekommen geliefert repariert gelöst entschuldigt bekommen erhalten zurückgerufen funktionieren
    brauche bestellt gebracht schreiben schreibt mehr nachrichten hilft""",
    intensifiers="""sehr zu so total echt wirklich richtig absolut extrem äußerst ganz voll unglaublich
    besonders viel viele vielen wahnsinnig überaus herzlich einfach mega super""",
    proud_intensifiers="super mega spitzen",
    diminishers="etwas bisschen wenig leicht",
    contrasts="aber jedoch allerdings sondern trotzdem außer",
    concessions="obwohl trotz zwar",
    positive_phrases="""nicht schlecht|gar nicht schlecht|nicht übel|gar nicht übel|nicht verkehrt
    |kein problem|keine probleme|ohne probleme|gar kein problem|keine sorge|keine beschwerden
    |nichts auszusetzen|nichts zu meckern|nicht meckern|kann man nicht meckern|nichts zu beanstanden
    |besser geht es nicht|besser gehts nicht|geht nicht besser|nicht besser|könnte nicht besser
    |hätte nicht besser|alles gut|alles bestens|alles super|alles klar|alles ok|alles okay|alles top
    |vielen dank|besten dank|herzlichen dank|danke schön|danke sehr|tausend dank|danke euch|sehr gut
    |sehr gerne|gerne wieder|jederzeit wieder|immer wieder gerne|immer wieder gern|bin dabei
    |ich bin dabei|bis morgen|bis dann|bis gleich|bis später|bis bald|bis nächste woche
    |bis zum nächsten mal|freue mich|freu mich|passt gut|passt mir|passt perfekt|passt super|geht klar
    |na klar|auf jeden fall|auf alle fälle|wie neu|weiter so|gut gemacht|komme wieder|kommen wieder
    |komme gerne|kann ich nur|nur empfehlen|sehr schön|war schön|echt schön|so schön|weh nicht|nicht weh
    |tat nicht weh|überhaupt nicht weh|daumen hoch|macht spaß|hat spaß gemacht|warum nicht
    |bin interessiert|habe interesse|hab interesse|pünktlich|zum glück|ein traum|fünf sterne|nehme ich
    |ich nehme|nehm ich|früher als|als gedacht|als erwartet|alles heil|kommen auf jeden|ihr seid die
    |sie sind die|war ein erfolg|voller erfolg|ein genuss|eine freude|eine wucht|ein erlebnis|hut ab
    |chapeau|erste klasse|erste sahne|eins a|trag mich ein|tragen sie mich|meld mich an|bucht mich
    |gut aufgehoben|wohl gefühlt|hat sich gelohnt|wert jeden|jeden cent|jeden euro|gerettet|auf euch ist
    |mit euch zufrieden|liebe ihn|liebe sie""",
    negative_phrases="""nein danke|kein interesse|keine lust|kein bedarf|nicht interessiert|nie wieder
    |nie mehr|nicht mehr|keine nachrichten|keine nachrichten mehr|keine sms|keine sms mehr|keine werbung
    |keine werbung mehr|in ruhe|lasst mich|lass mich|hört auf|hör auf|hören sie auf|immer noch nicht
    |immer noch kein|immer noch keine|noch immer nicht|noch immer kein|schon wieder kaputt|viel zu
    |zu spät|zu teuer|zu langsam|zu lange|zu laut|stunden gewartet|stunde gewartet|minuten gewartet
    |lange gewartet|ewig gewartet|ewig warten|mehr erwartet|besseres erwartet|hätte mehr|nicht toll
    |nicht gut|nicht so gut|nicht so toll|nicht besonders|geht gar nicht|geht garnicht|geht nicht
    |lässt zu wünschen|zu wünschen übrig|auf keinen fall|keinesfalls|geld zurück|zeit verschwendet
    |geld verschwendet|habe genug|hab genug|reicht mir|reicht jetzt|schnauze voll|leck mich|verpiss
    |ihr nervt|keiner da|nicht lustig|nicht zu empfehlen|nicht empfehlenswert|finger weg|tat weh|tut weh
    |tut immer noch weh|für nichts|keine antwort|keine rückmeldung|keine reaktion|niemand da|weg mit
    |daumen runter|stern abzug|gar nichts|zweimal abgebucht|doppelt abgebucht|doppelt berechnet
    |keiner ans|niemand ans|geht keiner|schon nein|doch nein|nein gesagt|seit einer stunde
    |seit einer halben|seit zwei stunden|seit stunden|seit tagen|warte seit|warten seit|nicht mehr bei
    |bestelle ich nicht|kaufe ich nicht|komme ich nicht|schon wieder|kurzfristig abgesagt
    |in letzter minute|versetzt worden|zum dritten mal|zu klein|zu groß|zu eng|passt nicht
    |springt nicht an|geht nicht an|hat den geist|den chef sprechen|dicke luft|habe ich mehr
    |krank geworden|mehr versprochen|wie oft noch|wie oft muss""",
    rebukes="was soll das|was soll der|was fällt ihnen|spinnt ihr",
    neutral_phrases="""geht so|weder noch|mal schauen|mal sehen|schau mal|weiß nicht|weiss nicht
    |weiß noch nicht|weiss noch nicht|weiß ich nicht|weiss ich nicht|noch nicht sicher|nicht sicher
    |keine ahnung|heute nicht|jetzt nicht|morgen nicht|noch nicht|guten tag|guten morgen|guten abend
    |gute nacht|schönen tag|schönes wochenende|schönen abend|schönen gruß|liebe grüße|liebe gruesse
    |liebe grüsse|viele grüße|viele gruesse|beste grüße|lg|mfg|es geht|geht es|wie geht|wie gehts
    |lieber am|lieber um|besser am|besser um|gut für|hätte gern|hätte gerne|würde gern|würde gerne
    |gerne wissen|ich möchte wissen|wollte fragen|ich wollte fragen|nicht wahr|kommt drauf an
    |kommt darauf an|so lala|ist ok|war ok|ware okay|ist okay|war okay|ganz ok|ganz okay|liebe frau
    |liebes team|lieber herr|tut mir leid|egal|macht nichts|nicht nötig|nicht schlimm|unter umständen
    |im problem|wo ist das problem|war in ordnung|ist in ordnung|in ordnung mehr|mehr nicht
    |seit einer woche|wie groß|wann passt""",
    question_starts="""wer|wer ist|was|was ist|was kostet|wann|wo|wohin|woher|wie|wie viel|wieviel
    |wie lange|wie hoch|welche|welcher|welches|welchen|kann ich|kann man|können wir|könnt ihr|können sie
    |könnte ich|könnten sie|könnten wir|kannst du|könntet ihr|gibt es|gibts|habt ihr|haben sie|hast du
    |seid ihr|sind sie|bist du|ist das|ist der|ist die|ist es|ist mein|darf ich|dürfen wir|nehmt ihr
    |nehmen sie|macht ihr|wollte fragen|ich wollte fragen|um wie viel|wäre es|würde es|muss ich|soll ich
    |ab wann|bis wann|akzeptieren sie|warum muss""",
    innocent="bad mal die hell war gift so an hat most brief rot also handy net once",
    markers="""der die das den dem ein eine einen einem einer und oder ist sind war waren ich du er sie es
    wir ihr mich mir dir uns euch mein meine ihre ihren unser von mit für auf im in am um zu zum zur bei
    nach aus nicht auch noch schon wie was wer wann bitte hallo morgen heute habe haben hat kann können
    bin immer wieder""",
)
