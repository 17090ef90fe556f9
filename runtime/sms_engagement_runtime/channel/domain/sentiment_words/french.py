"""French words, with the short forms of text messages."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

FRENCH: Final = Vocabulary(
    endings={"~": ("", "e", "s", "es"), "@": ("eux", "euse", "euses"), "§": ("", "s")},
    strong_positive="""excellent~ parfait~ génial~ géniaux formidable§ merveill@ magnifique§ fantastique§
    extraordinaire§ adore adoré adorée adorons adorent adorable§ impeccable§ superbe§ exceptionnel
    exceptionnelle incroyable§ délici@ ravi~ enchanté~ enchantée nickel sublime§ splendide§
    irréprochable§ exquis meilleur~ aime aimé aimons aimée félicitations chapeau canon merveilleusement
    parfaitement inoubliable§ régalé régalée régalés régalées délice délices perfection champions""",
    positive="""bon bonne bons bonnes bien beau belle beaux joli~ agréable§ sympa§ sympathique§ gentil
    gentille gentils gentillesse aimable§ poli~ rapide§ rapidement efficace§ content~ contente
    satisfait~ heureux heureuse merci mercii recommande recommandons recommandé recommander conseille
    professionnel professionnelle professionnels pro pros propre§ facile§ utile§ serviable§ souriant~
    accueillant~ attentif attentive ponctuel ponctuelle fiable§ honnête§ confortable§ savour@ succulent~
    régal régalé régalés bravo reviendrai reviendrons revenir confirme confirmé confirmée top cool mieux
    plaisir plu réussi réussie chouette§ impressionné~ intéressé~ intéressant~ remercie remercions hâte
    soigné~ soigneux marrant drôle génialissime compétent~ patient~ rassuré~ rassurant~ cordial~
    chaleur@ bienveillant~ partant~ kiffe kiffé youpi waouh wow satisfaction soulagé~ apprécie apprécié
    appréciée intéresse intéressent vaut convivial~ volontiers fluide sourire sourires souriants chefs
    rassurants soulagement fier fière fiers organisé~ ravissant~ douceur doux douce calme convaincu~
    pratique§ abordable§ généreux généreuse moelleux croustillant~ tendre§ étincelant~ reviens
    félicite fluide§ gratitude reconnaissant~ attentionné~ minutieux minutieuse reviendra retournerai
    disponibles charmant~""",
    weak_positive="""veux commander acheter achète ok okay accord marche fonctionne fonctionnent correct
    correcte convient accepte disponible""",
    strong_negative="""horrible§ affr@ terrible§ nul nulle nuls nulles arnaque§ arnaqueur arnaqueurs
    lamentable§ catastrophe catastrophique§ détestable§ déteste détesté honte honteux honteuse scandale
    scandaleux scandaleuse inadmissible§ inacceptable§ dégoûtant~ dégueulasse§ merde merdique pourri~
    pire pires voleur voleurs spam harcèlement épouvantable§ exécrable§ médiocre§ minable§ ignoble§
    dégueu escroc escrocs escroquerie haïs désastre désastr@""",
    negative="""mauvais mauvaise mauvaises mal déçu~ déçue décevant~ déception froid~ sale§ lent~ lente
    cher chère chers chères désagréable§ impoli~ malpoli~ grossier grossière cassé~ cassée abîmé~
    endommagé~ défectueux défectueuse retard§ problème§ souci soucis erreur erreurs panne plainte
    remboursement remboursé rembourser marre ennuyeux ennuyeuse énervé~ énervant~ fâché~ furieux
    furieuse triste§ perte perdu~ perdue raté~ ratée dommage difficile§ pénible§ bruyant~ incompétent~
    incompétence insatisfait~ mécontent~ mécontente malheureusement hélas trompé~ mensonge mensonges
    menteur moche§ insupportable§ inutile§ dérange dérangez déranger gênant~ arrogant~ méprisant~ bâclé~
    bâclée plante plantent bug bugs beurk zut cramé fade§ insipide§ stress désordre dangereux idiot
    idiote débile ridicule§ abus abusé douleur harcelez harcèle importuner poubelle inadapté~
    insuffisant~ indigne refus refusé déplorable§ déplorables débité débitée débités débitées facturé
    écrasé~ écrasée fissuré~ déchiré~ rayé~ taché~ tachée moisi~ cafard cafards indigeste§
    vomi raccroché crié ignoré~ incomplet incomplète menti tordu~ fuit gelé~ tiède§
    sèche salé~ périmé~ expirée bafoué décommandé exaspéré~ exaspérant~ outré~ outrée indigné~
    scandalisé~ escroqué~ volé~ arnaqué~ arnaquée bruyante§ collant~ bancal~ étroit~ bondé~ négligé~
    négligent~ inexistant~ insistant~ intrusif lassant~""",
    weak_negative="bruit attente attendu attends désolé désolée excusez pardon bof",
    unwanted="""annuler annule annulez arrêter arrêtez arrêt stop supprimer supprimez effacer effacez
    désabonner désinscrire désinscrivez cessez arrete désinscription""",
    agreements="oui ouais ouaip ouii si ok okay daccord volontiers carrément bien evidemment",
    refusals="non nan nope",
    negations="""ne n pas aucun aucune jamais rien sans ni guère nullement""",
    late_negations="pas jamais",
    verbs="""aime adore marche fonctionne fonctionnent recommande conseille intéresse convient vaut
    apprécie kiffe veux répond répondent""",
    expected="""arrivé arrivée arrive venu venue répond répondu répondent répondez reçu reçue reçois livré
    livrée réglé réglée réparé réparée résolu rappelé rappelée excusé excusés excusée prévenu aidé aide
    écrivez envoyez contactez appelez demandé voulu veut tenu respecté respectée reviendrai""",
    intensifiers="""très tres trop super vraiment tellement hyper extrêmement absolument beaucoup bcp tout
    totalement vachement franchement vivement assez complètement toute grand""",
    proud_intensifiers="super hyper",
    diminishers="peu légèrement",
    contrasts="mais cependant toutefois pourtant néanmoins sauf hormis ",
    concessions="malgré quoique",
    positive_phrases="""pas mal|pas mauvais|pas trop mal|vraiment pas mal|aucun problème|pas de problème
    |pas de problèmes|sans problème|pas de souci|pas de soucis|aucun souci|sans souci|rien à redire
    |rien à dire|rien à reprocher|rien ne traîne|rien de mieux|au top|trop bien|merci beaucoup
    |un grand merci|grand merci|mille mercis|merci bcp|bien sûr|bien sur|avec plaisir|ça marche
    |ca marche|ça roule|d accord|je suis partant|je suis partante|à demain|à bientôt|à tout à l heure
    |à ce soir|ça me va|me va|me convient|m intéresse|ça m intéresse|je suis intéressé
    |je suis intéressée|hâte de|j ai hâte|du premier coup|à l écoute|à l heure|tout va bien|très bien
    |rien senti|pas eu mal|pas mal mdr|vaut le coup|vaut le détour|allez y|je prends|les yeux fermés
    |n hésitez pas|on ne peut plus|rien à ajouter|je recommande vivement|pas déçu|pas déçue|jamais déçu
    |jamais déçue|c est bon|tout est bon|dis oui|bonne équipe|aux petits soins|comme neuf|comme neuve
    |chapeau bas|sans hésiter|sans hésitation|avec le sourire|mettez m en|mets m en|je vous en prends
    |j en prends|parlé à mes|parlé autour de|à mes amies|à mes amis|en avance|parfait état|comme sur des
    |une réussite|un régal|un vrai plaisir|un plaisir|quel plaisir|une merveille|que du bonheur
    |on reviendra|je retournerai|comptez sur moi|compte sur moi|inscrivez moi|ça vaut|au poil
    |du tonnerre|de qualité|sauvé la|sauvé ma|merci à vous|merci à tous|de ouf|mes félicitations""",
    negative_phrases="""non merci|pas intéressé|pas intéressée|ne m intéresse|m intéresse pas
    |plus jamais|jamais plus|pas terrible|pas top|pas super|pas génial|pas ouf|pas fameux|ras le bol
    |j en ai marre|marre de|perte de temps|perte d argent|laissez moi|laisse moi|foutez moi|fichez moi
    |arrêtez de|arrête de|ne m écrivez plus|ne plus|toujours pas|toujours rien|pas encore reçu
    |ne reviendrai|ne reviendrai pas|trop cher|trop long|trop lent|trop tard|heures de retard|en retard
    |en panne|sans arrêt|laisse à désirer|laissent à désirer|à désirer|à fuir|à éviter|j attendais mieux
    |m attendais à mieux|peut mieux faire|pourrait mieux faire|c est pas|de la merde|du vol|quelle honte
    |au secours|hors de question|sans façon|pas du tout|personne n|personne ne|plus de messages
    |plus de sms|plus de textos|rien ne marche|ne marche plus|ne marche pas|ne fonctionne pas|mal poli
    |mal élevé|mal fait|foutage de gueule|fait attendre|une plaisanterie|plus envie|aucune envie
    |pas envie|me déranger|me dérange|mon argent|trop d attente|pas du tout satisfait
    |service client inexistant|débité deux fois|facturé deux fois|dit non|déjà dit non
    |déjà dit|une heure que|deux heures que|fait une heure|fait deux heures|des heures que|que j attends
    |j attends depuis|on attend depuis|ne décroche|commanderai plus|n achèterai plus|ne viendrai plus
    |au dernier moment|dernière minute|encore annulé|encore en retard|posé un lapin|raccroché au nez
    |combien de fois|trop petit|trop grand|trop serré|ne démarre|tombé en panne|a lâché
    |parler au responsable|rendu malade|malade après|j attendais plus|attendais plus|mieux attendu
    |autre chose que ça""",
    neutral_phrases="""je ne sais pas|ne sais pas|sais pas|je sais pas|jsp|pas encore|pas aujourd hui
    |pas maintenant|pas ce soir|pas demain|pas aujourdhui|ni bien ni mal|ni bon ni mauvais|ni oui ni non
    |s il vous plaît|s il te plaît|svp|stp|bon de|bon d|bons de|bon week end|bonne journée|bonne soirée
    |bonne nuit|bonne année|bien vendredi|bien lundi|bien reçu|c est bien le|c est bien la|ou bien
    |je voulais savoir|voulais savoir|je voudrais savoir|plus tard|comme ci comme ça|pas sûr|pas sûre
    |de rien|aimerais|j aimerais|pas grave|ce n est pas grave|mal de|ça dépend|ma commande|la commande
    |une commande|pas forcément|marche pied|sans doute|un peu froid dehors|pas plus|n importe
    |j ai bien noté|bien noté|bien entendu que|pas compris|ne comprends pas|premier bon|sans plus
    |c était correct|correct sans|deux fois par|une ou deux fois|chef de|je viens de|est ce que non""",
    question_starts="""qui|c est qui|qui est|qui êtes|quoi|quand|c est quand|combien|combien ça|où
    |c est où|quel|quelle|quels|quelles|à quelle|à quelle heure|c est quoi|comment|pourquoi faut|est ce
    |est ce que|puis je|peut on|peux tu|pouvez vous|pourriez vous|pourrais je|pouvons nous|avez vous
    |as tu|êtes vous|es tu|vous avez|vous prenez|vous êtes|vous ouvrez|vous fermez|y a t il|serait il
    |je voulais savoir|voulais savoir|j aimerais savoir|je voudrais savoir|de quoi|qu est ce|faut il
    |doit on|dois je|acceptez vous|peut être possible|ouvrez vous""",
    innocent="but fine plus court once dire son chat pain",
    markers="""le la les un une des du de et est suis sommes êtes sont c ce cette ces je tu il elle nous
    vous ils on mon ma mes votre vos notre nos j l d qu que qui en au aux pour par avec sur dans pas ne
    n s y a ai avez été était bonjour demain aujourd heure rdv chez""",
)
