"""Spanish words, as they are written in Spain and in the Americas."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

SPANISH: Final = Vocabulary(
    endings={"@": ("o", "a", "os", "as"), "~": ("", "es")},
    strong_positive="""excelente excelentes perfect@ perfecto fantástic@ increíble~ maravillos@ genial~
    espectacular~ encanta encantan encantó encantaron encantad@ estupend@ magnífic@ buenísim@ muchísimo
    fenomenal extraordinari@ amo amé adoro feliz felices inmejorable impecable~ chévere padrísim@ bacán
    brutal delicios@ riquísim@ excelentísim@ felicidades felicitaciones felicito insuperable maravilla
    crack cracks craques máquinas fenómenos bárbaro bárbara riquísimas""",
    positive="""buen buen@ bueno bien bonit@ lind@ bell@ amable~ amabilidad content@ satisfech@ gracias
    graciass grax agradecid@ agradezco gusta gustan gustó gustaron recomiendo recomendad@ recomendable~
    recomendar rápid@ rapidísim@ puntual~ limpi@ cómod@ ric@ sabros@ frescos atent@ profesional~ fácil~
    útil~ mejor mejores ayudó ayudaron eficiente~ eficaz confiable~ honest@ agradable~ simpátic@
    cordial~ educad@ volveré vuelvo regresaré regreso repetiré volveremos confirmo confirmad@ alegre~
    alegra alegro divertid@ éxito acuerdo bravo guay chid@ resolvieron solucionaron arreglaron
    impresionad@ tranquil@ paciente~ cariños@ fiable~ disfruté disfrutamos interesad@ interesante~
    bienvenid@ olé wow yupi aprecio copado copad@ encantador encantadora interesa interesan contento
    cumplen cumplieron emocionad@ merecid@ rebuen@ sonriendo sonrisa sonriente orgullos@ divertidísim@
    fluido ordenad@ organizad@ impecablemente buenísimo precioso preciosa precios@ hermos@ cumplid@
    servicial~ acogedor acogedora tranquilidad alivio aliviad@ sencill@ práctic@ barat@ económic@
    dedicad@ cálid@ recomendaré recomendándolos disfrutando eficientes aclararon volvería gustaría""",
    weak_positive="""quiero compro comprar comprando pedir ok okey okay vale listo acepto claro dale venga
    funciona funcionan funcionó conviene sirve sirven""",
    strong_negative="""pésim@ horrible~ terrible~ asco asqueros@ estafa estafan estafador~ estafaron fraude
    robo ladrones basura porquería odio odié espantos@ inaceptable~ vergüenza vergonzos@ desastre
    desastros@ nefast@ fatal mierda spam denuncia denunciaré malísim@ inútil~ deplorable~ lamentable~
    incompetente~ peor peores""",
    negative="""mal mal@ malo fe@ frí@ suci@ groser@ maleducad@ lent@ lentísim@ car@ carísim@ rot@
    decepcionad@ decepcionante~ decepción decepcionó molest@ molestar molestan molestando molestia
    enojad@ enfadad@ triste~ retras@ retraso demora demoras demorad@ queja quejas quejarme problema
    problemas error errores defectuos@ dañad@ perdí perdieron perdid@ pérdida harto harta hartos cansad@
    aburrid@ ruidos@ incómod@ insatisfech@ engaño engañaron engañad@ mentira mentiras mentiroso falla
    fallas falló fallan fallo desagradable~ descortés difícil~ dolor duele reembolso devolución reclamo
    reclamar desilusionad@ desilusión podrid@ quemad@ crud@ abusiv@ abuso mediocre~ estúpid@ idiota
    idiotas arruinaron desorden desordenad@ caos antipátic@ prepotente~ irrespetuos@ ruido fastidio
    fastidian ridícul@ insípid@ desorganizad@ impuntual~ impuntualidad lastimosamente lamentablemente
    desgraciadamente tardísimo sucísim@ rompió rompieron jodan joder cobraron doble aplastad@ abollad@
    rayad@ rasgad@ manchad@ moho cucaracha cucarachas intoxicad@ vómito colgaron gritaron
    gritó ignoran ignoraron ignorad@ incomplet@ equivocaron confundieron mintieron mintió chueco torcid@
    goteando gotea fuga helad@ insoport@ insoportable~ salad@ vencid@ caducad@
    incumplid@ incumplieron apurad@ sobreprecio decepciona defraudad@ timo timaron malísimamente
    plantad@ plantaron cancelaron suspendieron indignad@ furios@ indignante~ hartazgo acoso acosando
    insisten insistencia ladrón""",
    weak_negative="ruido tardaron tardó demoró demoraron perdón disculpe esperando espera esperé",
    unwanted="""equivocad@ cancelar cancelo cancela cancelen borrar borren borra eliminar eliminen parar
    paren basta alto baja bórrenme""",
    agreements="sí si sip sii claro dale vale ok okey okay listo venga sale órale simón",
    refusals="no nop nel noo",
    negations="nunca jamás nada nadie ningún ninguna ninguno tampoco sin ni apenas",
    expected="""llega llegó llegan llegaron responde responden respondió respondieron contesta contestan
    contestó contestaron arregló cumplió vino vinieron apareció aparecieron disculpó disculparon recibí
    recibido llegado solucionó solucionado resuelto resuelve ayuda ayudan atiende atienden atendió avisó
    avisaron vuelvo deseo recibir manden mande envíen escriban escribas llamen puede puedo""",
    verbs="",
    intensifiers="""muy mucho mucha muchos muchas demasiado demasiada tan tanto bastante totalmente
    realmente súper sumamente extremadamente re más todo""",
    proud_intensifiers="súper super",
    diminishers="poco algo",
    contrasts="pero sino embargo salvo excepto",
    concessions="aunque pesar",
    positive_phrases="""no está mal|no estuvo mal|no estuvo nada mal|no estuvieron mal|nada mal
    |sin problema|sin problemas|ningún problema|no hay problema|no hay problemas|no pasa nada|sin quejas
    |no tengo quejas|ninguna queja|todo bien|todo ok|todo perfecto|todo excelente|todo nice|de acuerdo
    |por supuesto|claro que sí|cómo no|muchas gracias|mil gracias|muchísimas gracias|muy bien|nos vemos
    |ahí estaré|ahí nos vemos|allí estaré|cuenten conmigo|cuenta conmigo|me apunto|me late|qué bien
    |qué bueno|qué rico|qué lindo|qué alegría|me interesa|estoy interesado|estoy interesada|me encanta
    |no pudo ser mejor|no podría ser mejor|no puedo estar más|vale la pena|lo mejor|los mejores
    |las mejores|la mejor|el mejor|un diez|10 de 10|ya no me duele|no me duele|no dolió|no duele
    |buena onda|de lujo|a gusto|de maravilla|no dejen de|con gusto|mil felicidades|al pelo|muy padre
    |qué padre|a tiempo|sin duda|sin dudarlo|qué maravilla|antes de tiempo|en orden|con mis amigas
    |con mis amigos|a mis amigos|a mis amigas|apúntame|apúntenme|anótame|anótenme|me llevo|lo quiero
    |la quiero|los quiero|un éxito|un acierto|un placer|todo un|se los agradezco|súper bien
    |quedó perfecto|quedó hermoso|quedó genial|quedó increíble|quedó como nuevo|como nuevo|como nueva
    |valió la pena|no me arrepiento|me sentí|me salvaron|me hicieron el""",
    negative_phrases="""no gracias|no me interesa|no estoy interesado|no estoy interesada|ya no|no más
    |nunca más|nunca jamás|no vuelvo|no volveré|no regreso|no vale|no vale la pena|pérdida de tiempo
    |pérdida de dinero|perdí mi tiempo|deja mucho que|dejan mucho que|deja que desear|dejen de|deja de
    |deje de|déjenme|dejame en paz|déjenme en paz|déjeme en paz|no molesten|no me escriban
    |no me escribas|no me llamen|no me manden|no escriban|qué asco|qué vergüenza|qué mal|qué rabia
    |qué fastidio|estoy harto|estoy harta|mala onda|todavía no llega|aún no llega|sigo esperando
    |sigue sin|siguen sin|todavía sin|todavía espero|de mal gusto|de mala gana|horas tarde|hora tarde
    |minutos tarde|llegaron tarde|llegó tarde|muy tarde|demasiado tarde|no sirve|se cae|se caen|así no
    |no se puede|ni loco|ni loca|para nada|ni hablar|más o menos malo|quiero mi dinero|mi dinero
    |quítenme|sáquenme|salir de la lista|cuál es el problema con|una burla|tomadura de pelo|muy poco
    |mucho tiempo esperando|poco profesional|poco amable|poco amables|muy caro|cobraron de más
    |cobró de más|hicieron perder|hizo perder|una hora esperando|hora esperando|horas esperando
    |llevo esperando|llevo una hora|llevamos una hora|llevo horas|llevo días|les dije que no
    |ya les dije|cuántas veces|me colgaron|me dejaron|nos dejaron|otra vez lo|otra vez mal|a última hora
    |última hora|nunca llamaron|nunca llegaron|me quedé esperando|muy chico|muy pequeño|muy grande
    |no me queda|no enciende|no prende|dejó de funcionar|se rompió|se descompuso|hablar con el gerente
    |libro de quejas|esperaba más|esperaba algo mejor|esperaba mejor|me enfermé|nos enfermamos""",
    neutral_phrases="""no sé|no lo sé|todavía no sé|aún no sé|aún no|todavía no|más o menos
    |ni bien ni mal|ni bueno ni malo|ni fu ni fa|hoy no|ahora no|mañana no|buenos días|buenas tardes
    |buenas noches|buen día|buena tarde|buena noche|me gustaría|quisiera|a lo mejor|mejor el
    |mejor mañana|de nada|por favor|está bien para|puerta|lo siento|no importa|no estoy seguro
    |no estoy segura|si es posible|si puede|mas tarde|más tarde|bien o|o mal|alto de|no solo|ni idea
    |necesito saber|quiero saber|quería saber|quería preguntar|en vez de|o no|no entiendo|nada del otro
    |estaba bien|estuvo bien|puede que no|creo que no|si no|es que no|por qué no|dos veces por semana
    |una o dos veces""",
    question_starts="""quién|quiénes|cuándo|cuánto|cuánta|cuántos|cuánto cuesta|cuánto vale|dónde
    |a dónde|cuál|cuáles|a qué hora|qué hora|puedo|podría|podrían|puede|pueden|me puede|me pueden
    |me podría|me podrían|tienen|es posible|aceptan|quisiera saber|quería saber|quería preguntar
    |necesito saber|por qué hora|cómo|en dónde|para cuándo|atienden|abren|de parte de quién|se puede
    |sería posible""",
    innocent="ya con mais dice red once",
    markers="""el la los las un una unos unas de del al que y en es son está estoy están fue era mi tu su
    me te se lo le les con por para como más pero muy ya hoy mañana usted ustedes hola este esta eso hay
    tengo tiene quiero puede puedo porque cuando qué todo todavía señor señora""",
)
