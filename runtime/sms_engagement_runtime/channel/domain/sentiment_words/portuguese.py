"""Portuguese words, as they are written in Brazil and in Portugal, with the short forms of text messages."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

PORTUGUESE: Final = Vocabulary(
    endings={"@": ("o", "a", "os", "as"), "~": ("", "s")},
    strong_positive="""excelente~ ótim@ perfeit@ perfeitamente fantástic@ incrível incríveis maravilhos@
    sensacional espetacular adorei adoro adoramos amei amo amamos impecável delicios@ deliciosa feliz
    felizes melhor melhores genial maravilha parabéns excepcional inacreditável magnífic@ fenomenal
    apaixonad@ encantad@ showw gostosíssim@ lindíssim@ espetáculo arrasou arrasaram topzera feras fera
    craque craques arrasa sucesso perfeição""",
    positive="""bom boa bons boas bem bonit@ lind@ gostei gosto gostamos gosta gostou gostos@ legal legais
    bacana~ satisfeit@ obrigad@ obg obgd obgda brigad@ obrigadão brigadão valeu vlw grat@ agradeço
    agradecid@ agradável recomendo recomendad@ recomendamos indico indiquei rápid@ rapidinho pontual
    limp@ educad@ atencios@ gentil gentis simpátic@ profissional profissionais competente~ eficiente~
    fácil útil ajudou ajudaram volto voltarei voltaremos confirmo confirmad@ confirmada tranquil@ curti
    divertid@ sucesso combinado honest@ confiável confortável saboros@ fresquinh@ cheiros@ caprich@
    caprichad@ top massa show interessad@ interessante~ resolveram resolveu uau oba eba maneiro querid@
    fof@ carinhos@ paciente~ cuidados@ alegre~ alegria animad@ aprovad@ aprovo elogio elogios
    impressionad@ surpreendente~ prestativ@ bacanas blz beleza interessa gratidão sortudo sorrindo
    sorriso sorridente elogiou elogiaram orgulhos@ organizad@ tranquilidade alívio aliviad@
    prátic@ barat@ acolhedor acolhedora dedicad@ aconchegante~ crocante~ macio macia gostosinho
    embalad@ impecáveis agilidade ágil recomendarei recomendaria voltamos joia jóia
    firmeza""",
    weak_positive="""quero comprar compro pedir ok okay certo aceito claro fechado pode funciona funcionou
    serve combinado bora interesse""",
    strong_negative="""péssim@ horrível horríveis terrível terríveis horroros@ nojo nojent@ golpe golpistas
    fraude roubo ladrões lixo porcaria odeio odiei detestei detesto vergonha vergonhos@ absurdo
    inaceitável desastre bosta merda spam pior piores ridícul@ desrespeito descaso lamentável palhaçada
    enganação estelionato procon imprestável""",
    negative="""ruim ruins mau má maus fei@ fri@ suj@ grosseir@ gross@ lent@ car@ caríssim@ quebrad@
    quebrou decepcionad@ decepcionante decepção decepcionou chatead@ irritad@ irritante triste~ atras@
    atraso atrasad@ atrasou demora demorad@ reclamar reclamação reclamações problema problemas erro
    erros errad@ defeito defeitos defeituos@ estragad@ danificad@ perdi perda perdid@ cansad@ cans@
    chat@ chatice barulhent@ desconfortável insatisfeit@ enganad@ enganaram mentira mentiros@ falha
    falhas falhou desagradável difícil dor dói doeu reembolso devolução estorno infelizmente podre cru
    crua queimad@ abus@ abuso medíocre estúpid@ idiota~ bagunça desorganizad@ caos antipátic@
    desrespeitos@ raiva saco trava travando travou travam arrependi arrependid@ bug desapontad@
    descontent@ inútil piorou fraco fraca credo aff afff droga porcos mofad@ despreparad@ incompetente~
    furada furad@ enrolação enrolam enrolando impont@ sumiu sumiram vergonhosamente cobraram amassad@
    arranhad@ rasgad@ manchad@ mofo vomitei desligaram gritaram gritou
    ignoraram ignorad@ incomplet@ trocaram mentiram mentiu tort@ vazando vazou gelad@ morn@
    salgad@ vencid@ desmarcaram desmarcou cancelaram furioso furiosa indignad@ revoltad@ revoltante
    enganada lesad@ roubad@ roubaram apertad@ lotad@ negligente~ insistente~ invasiv@ perturbando
    perturba enche enchendo incomodando incomoda incômodo desleixo desleixad@ sobrepreço abusivo
    plantad@ grud@ fedendo fedorent@""",
    weak_negative="demorou esperei esperando esperava espera desculpe desculpa perdão fila",
    unwanted="""errad@ cancelar cancelo cancela cancelem remover remova removam excluir exclui apagar
    apaguem parar pare parem sair descadastrar sai""",
    agreements="sim simm claro ok okay certo beleza blz fechado combinado bora pode uhum aham",
    refusals="não nao nops nn ñ",
    negations="nunca jamais nada ninguém nenhum nenhuma nem sem tampouco",
    expected="""chegou chega chegaram respondem responde respondeu responderam atende atendem atendeu
    apareceu apareceram veio vieram resolve resolvido recebi entregaram entregue consertaram cumpriu
    cumpriram pediu desculpou volto mandem mandar desejo recebido consegui consigo ligou retornou
    retornaram ajuda""",
    intensifiers="""muito muita muitos muitas super tão demais bastante totalmente realmente extremamente
    mto mt mó mais tudo tanto""",
    proud_intensifiers="super demais",
    diminishers="pouco pouquinho meio",
    contrasts="mas porém contudo entretanto todavia exceto",
    concessions="embora apesar",
    positive_phrases="""nada mal|não é mau|não foi mau|não está mau|nada a reclamar|nada para reclamar
    |não tenho reclamações|sem reclamações|sem problema|sem problemas|nenhum problema|não tem problema
    |não há problema|tudo bem|tudo certo|tudo ótimo|tudo perfeito|tudo ok|tudo limpo|muito bom|muito boa
    |muito bem|muito obrigado|muito obrigada|mto obrigado|mto obrigada|show de bola|de boa|numa boa
    |com certeza|pode contar|conte comigo|contem comigo|pode contar comigo|tô dentro|to dentro
    |estou dentro|estarei lá|estarei aí|até amanhã|até logo|até já|até breve|até lá|que legal|que bom
    |que ótimo|que lindo|que delícia|que maravilha|que alegria|tenho interesse|estou interessado
    |estou interessada|vale a pena|vale muito|valeu a pena|nota 10|nota dez|o melhor|a melhor
    |os melhores|as melhores|são demais|é demais|bom demais|boa demais|top demais|gente boa|gente fina
    |não doeu|não doeu nada|não dói|não poderia ser melhor|não podia ser melhor|não poderia estar mais
    |mandou bem|mandaram bem|por que não|com prazer|no capricho|cinco estrelas|no prazo|na hora marcada
    |separa dois|separa um|separa pra mim|reserva pra mim|pode reservar|pode separar|a gente volta
    |antes do prazo|bem embalado|um sucesso|foi um sucesso|todo mundo elogiou|todo mundo gostou
    |todo mundo amou|para as minhas|pras minhas amigas|falei bem|já falei de|saiu sorrindo|vou levar
    |me inscreve|me coloca na|quero sim|pode marcar|um prazer|como novo|como nova|ficou lindo
    |ficou perfeito|ficou ótimo|ficou show|ficou top|tirou nota|me salvaram|salvou meu
    |sem arrependimento|não me arrependo""",
    negative_phrases="""não obrigado|não obrigada|não tenho interesse|sem interesse|não me interessa
    |não estou interessado|não estou interessada|nunca mais|não quero|não quero mais|não volto
    |não volto mais|não voltarei|não mais|não presta|não vale|não vale a pena|perda de tempo
    |perda de dinheiro|perdi meu tempo|deixa a desejar|deixou a desejar|deixou muito a|esperava mais
    |esperava melhor|me deixem|me deixa em paz|me deixe em paz|em paz|me tira|me tirem|me tire|me remova
    |me removam|parem de|pare de|para de|para de mandar|chega de|de saco cheio|saco cheio|estou farto
    |estou farta|que raiva|que absurdo|que vergonha|que nojo|que horror|que saco|uma vergonha
    |meu dinheiro|dinheiro de volta|ainda não chegou|até agora nada|até hoje nada|ainda esperando
    |ainda aguardando|caro demais|cara demais|demorado demais|demorou demais|muito caro|muito cara
    |muito tempo|horas esperando|duas horas|mal educado|mal educada|mal educados|mal atendido
    |mal atendida|muito mal|mal feito|passou mal|nem pensar|de jeito nenhum|tô fora|to fora|estou fora
    |não funciona|não atende|não responde|não deu certo|péssima experiência|fui enganado|fui enganada
    |longe de ser|podia ser melhor|poderia ser melhor|pode melhorar|precisa melhorar|tomar no|vai se
    |vão se|foi mal atendido|o tempo todo trava|horas de atraso|cobraram duas
    |falei que não|disse que não|já falei que|uma hora esperando|hora esperando|há uma hora|faz uma hora
    |há horas|faz horas|há dias|compro mais|não compro mais|não peço mais|não piso mais|em cima da
    |última hora|de última hora|ninguém atende|quantas vezes|me deixaram|me deixou|muito pequeno
    |muito grande|não serve|não liga|parou de funcionar|quebrou de novo|falar com o gerente|passei mal
    |de novo atrasado|furaram comigo|fizeram perder""",
    neutral_phrases="""não sei|não sei ainda|ainda não sei|ainda não|hoje não|agora não|amanhã não
    |mais ou menos|nem bem nem mal|nem sim nem não|bom dia|boa tarde|boa noite|boa semana
    |bom fim de semana|oi tudo bem|olá tudo bem|tudo bem com|gostaria|gostaria de|gostaria de saber
    |queria saber|quero saber|por favor|pfv|de nada|melhor horário|melhor dia|melhor às|bom para
    |boa para|bem na|ou não|tanto faz|não importa|não tenho certeza|sinto muito|mais tarde|depois vejo
    |depende|só isso|não só|não entendi|vale até|ainda vale|bom se|tipo assim|no começo|nem sempre
    |pode mandar|pode me mandar|pode enviar|pode ser que|pode ser|nada de mais|nada demais|acho que não
    |se não|por que não sei|creio que não|ou duas vezes|duas vezes por|há uma hora disponível""",
    question_starts="""que horas|que dia|qual|quais|quem|quem é|quando|quanto|quanto custa|quanto é
    |quanto fica|onde|aonde|como|cadê|posso|podia|poderia|podemos|pode me|pode mandar|pode enviar|podem
    |vocês tem|vocês têm|vcs tem|dá para|dá pra|é possível|seria possível|aceita|aceitam
    |gostaria de saber|queria saber|quero saber|a que horas|vocês fazem|vcs fazem|vocês abrem|vcs abrem
    |por quanto|o que""",
    innocent="no mal con die mais",
    markers="""o a os as um uma uns umas do da dos das no na nos nas ao à e é são está estou estão foi era
    que em de com por para pra pro meu minha seu sua eu você vocês vc vcs ele ela nós não sim mas muito
    já ainda hoje amanhã isso esse essa este esta oi olá tem tenho quero posso também tudo todo""",
)
