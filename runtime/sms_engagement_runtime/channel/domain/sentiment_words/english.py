"""English words, with the slang and the misspellings of text messages."""

from typing import Final

from sms_engagement_runtime.channel.domain.sentiment_words.vocabulary import Vocabulary

ENGLISH: Final = Vocabulary(
    strong_positive="""amazing awesome excellent excelent exellent fantastic fabulous incredible
    outstanding perfect perfection perfectly phenomenal brilliant superb wonderful wonderfully love
    loved loves loving luv adore adored exceptional delighted thrilled best flawless stellar spectacular
    magnificent unbelievable terrific ecstatic fab goat lifesaver mvp perfecto""",
    positive="""good great gr8 grt nice nicely lovely beautiful gorgeous cool neat sweet happy happier glad
    pleased satisfied satisfying satisfactory enjoy enjoyed enjoying enjoyable impressed impressive
    recommend recommended recomend reccomend recommending friendly kind kindness polite professional
    helpful courteous caring attentive knowledgeable patient thoughtful welcoming respectful honest
    gentle clean spotless comfortable cozy tasty delicious yummy yum fresh quick quickly fast speedy
    prompt promptly efficient smooth smoothly easy seamless reliable trustworthy affordable convenient
    fair better improved helped thanks thank thankyou thx thnx tnx ty tysm thankful grateful appreciate
    appreciated appreciative appreciation congrats congratulations bravo kudos yay woohoo yippee wow
    excited exciting fun funny interested interesting confirm confirmed confirming worth worthwhile rock
    rocks rocked win winner winning success successful pleasure pleasant like liked likes likable dope
    lit stoked psyched cheers hooray relieved superior top ace legend legends gem treat bless
    blessed valuable useful generous favorite favourite flawlessly painless thorough punctual spotlessly
    refreshing trust trusted bomb smiling smile smiles smiled talented skilled organized calm relaxing
    relaxed reassuring accommodating responsive attentively gamechanger godsend cosy flavorful juicy
    crisp crispy tender sparkling pristine pleasantly laughing proud sturdy painlessly transparent
    cheaper bargain stunning charming elegant peaceful helpfulness handy refreshed blessing
    appreciating""",
    weak_positive="""want order buy ok okay okey fine sure works worked working welcome deal accept
    accepted agree agreed join ready count available alright cute decent early pretty""",
    strong_negative="""terrible horrible awful awfully worst horrendous disgusting atrocious hate hated
    hates hating spam scam scammer scammers scammed fraud pathetic unacceptable disgrace disgraceful
    appalling dreadful abysmal garbage trash crap crappy bullshit horrid nightmare useless ridiculous
    rubbish shit shitty sucks suck sucked incompetent furious outrageous disaster dishonest ripoff
    unprofessional inexcusable worthless spammer spammers spamming harassment harassing illegal sue
    lawyer crooks thieves liars liar inedible""",
    negative="""bad badly poor poorly rude slow slowly late cold dirty filthy broken broke breaks damaged
    defective faulty expensive overpriced pricey disappointed disappointing disappointment dissapointed
    disapointed dissapointing disappoint upset angry mad annoyed annoying annoys frustrated frustrating
    frustration unhappy unsatisfied dissatisfied unfriendly unhelpful unreliable uncomfortable
    unpleasant unimpressed dismissive disrespectful careless sloppy messy mess problem problems issue
    issues complaint complaints complain complaining complained fail failed fails failure fault worse
    worsened mistake mistakes error errors waste wasted wasting refund pain painful hurt hurts sad sadly
    unfortunately regret ignored ignore ignores ignoring lost lose missing stolen cheat cheated
    overcharged stupid idiots idiot dumb lame boring bored mediocre underwhelming subpar underwhelmed
    lousy nasty gross stale bland burnt raw soggy greasy noisy loud smelly smells stinks stink ugly
    confusing delayed delay delays unwanted bother bothering bothered pestering pushy aggressive scary
    ugh argh grr meh wtf smh yuck ew eww yikes boo disagree leak leaking leaks crashed crashes crash bug
    bugs buggy lies lied lie misleading shame unsafe awkward reject rejected unsubscribed unprepared
    disorganized chaotic stressful trouble troubles unresponsive unreasonable ruined ruin hassle stuck
    fuck fucking suspicious unclear mold moldy mouldy roach roaches cockroach scratched
    scratches dented dent cracked torn ripped stained stains crushed squashed undercooked overcooked
    burned uncooked doublebooked ghosted yelled shouted snapped rushed ignorant disconnected
    unanswered overbooked allergic vomiting nauseous misdiagnosed miscommunication inconsistent
    inaccurate incorrect incomplete unfinished untrained unqualified unsanitary unhygienic uneven
    crooked wobbly flimsy crowded cramped freezing sweating filth disorganised sticky clogged
    flooded shortchanged cancelling lukewarm tasteless flavorless watery
    stingy greedy misled bogus sketchy shady horrified shocked appalled fuming livid unhelpfull lacking
    cheaply peeling faded shrunk rusty stalled deceptive intrusive nuisance stalking""",
    weak_negative="end quit remove delete noise unable waiting sorry",
    unwanted="wrong stop cancel cancelled canceled unsubscribe revoke optout stopall worry worries",
    agreements="""yes yess yea yeah yep yup yessir yas yass ya aye absolutely definitely certainly sure ok
    okay okey kk yah yesh totally""",
    refusals="no nope nah naw never noo",
    negations="""not dont don't doesnt didnt isnt arent wasnt werent wont wouldnt cant cannot couldnt
    shouldnt hasnt havent hadnt aint without nothing none nobody noone neither nor hardly barely didn
    wasn doesn isn couldn wouldn rarely lack lacks lacking unable dnt dint refuse refused refuses""",
    expected="""arrived arrive arrives came come comes replied reply replies answered answer answers called
    respond responded responds showed show shows received receive receives fixed fix apologized
    apologised help work explained cared care cares told shown resolved solve solved finish finished
    again ordered signed sign consent showing listen listened listens bothered ask tried using use
    honored honoured delivered returned refunded explaining followed corrected connected working""",
    intensifiers="""very so really rly extremely absolutely totally incredibly truly completely highly too
    such especially most much quite damn insanely hella deeply genuinely seriously definitely beyond""",
    proud_intensifiers="super pretty",
    diminishers="bit little somewhat slightly kinda sorta fairly",
    contrasts="but however yet except bt",
    concessions="although though despite altho",
    positive_phrases="""cant wait|can not wait|cannot wait|cant go wrong|cant complain|cannot complain
    |hands down|can not complain|couldnt be happier|could not be happier|couldnt be better
    |could not be better|couldnt have been better|could not have been better|couldnt be more pleased
    |couldnt ask for more|couldnt ask for better|never had a better|never been better|never better
    |cant recommend you|cant recommend this|cannot recommend you|cannot recommend this
    |cant thank you enough|cannot thank you enough|cant recommend enough|cannot recommend enough
    |cant be beat|no complaints|no complaint|no problem|no problems|no problemo|no worries|no issues
    |no issue|not a problem|all good|its all good|sounds good|sounds great|sounds perfect|looks good
    |looks great|look forward|looking forward|look fwd|looking fwd|well done|good job|great job|nice job
    |nice work|good work|keep it up|keep up|sign me up|count me in|im in|i am in|im down|lets do it
    |lets go|hell yeah|hell yes|hell yea|heck yeah|of course|for sure|why not|you rock|the bomb
    |thumbs up|will be back|will come back|come back soon|will return|see you then|see you there
    |see u there|see you|see u|see ya|works for me|fine by me|fine with me|good with me
    |dont stop sending|keep them coming|keep em coming|like new|brand new|as good as new|well worth
    |worth every penny|exceeded my expectations|above and beyond|made my day|on point|on time|5 star
    |five star|five stars|is a steal|a steal|my favorite|job well done|blown away|cant stop smiling
    |best ever|not bad|not too bad|not half bad|dont change|never disappoints|never disappointed
    |never disappoint|nothing but good|nothing but praise|nothing but great|nothing but the best
    |very well|went well|ty so much|felt nothing|like a charm|no doubt|i love|so glad|take my money
    |opt in|opt me in|subscribe me|happy to|put me down|put us down|ill take|i will take|more stars
    |told my friends|told everyone|tell my friends|tell everyone|spot on|top notch|first class
    |second to none|a plus|game changer|life saver|saved my|saved the day|exactly what i|just what i
    |went out of|shout out|hats off|props to|thumbs way up|5 stars|sign us up|count us in|im game
    |were in|ahead of schedule|under budget|hasnt stopped|havent stopped|glad i|glad we|so far so
    |big fan|no regrets|zero complaints|nothing to complain|made us feel|felt at home|felt welcome
    |like family|took the time|went the extra|extra mile|see you next|til next time|until next time
    |i owe you|couldnt have asked|cant believe how|would do it""",
    negative_phrases="""no thanks|no thank you|no thankyou|no thx|no ty|not interested|no interest
    |not for me|not again|never again|not worth|not worth it|fed up|thanks for nothing|good luck getting
    |waste of time|waste of money|waste of|rip off|ripped off|still waiting|still have not|still havent
    |still no|still not|sick of|tired of|sick and tired|go away|get lost|leave me|leave us|screw you
    |fuck off|piss off|f off|shut up|no more|never come back|never coming back|not coming back
    |never return|wont be back|will not be back|wont return|wont come back|not be back|never use
    |never using|never order|never buy|never recommend|what a joke|a joke|wish i could|i wish
    |took forever|takes forever|taking forever|forever to|too long|hours late|hour late|minutes late
    |mins late|long wait|waited for hours|let down|let me down|no show|no shows|no one showed|didnt show
    |never showed|keep texting|keeps texting|quit texting|money back|no good|not what i|not as described
    |not as advertised|no reply|no response|no answer|no apology|no idea why|no use|no way
    |no longer interested|do better|could be better|could have been better|should be better
    |should have been better|room for improvement|falls apart|fell apart|out of order|not ok|not okay
    |not cool|not right|same problem|same issue|same noise|not working|up the wall|hell no|run away
    |stay away|avoid|bs|pass on|ill pass|hard pass|i pass|joke of|not a fan|dont bother|dont think so
    |do not think so|lose my|how did you get my|stop it|report you|reporting you|off your list
    |off this list|had enough|enough of|ask me again|last straw|looks nothing like|nothing like
    |charged me|charged twice|hair in|hair on|double charged|billed twice|billed me|overcharged me|zero stars
    |more stars for|expected more|expected better|expected a lot|expected so much|almost hit|nearly hit
    |cancelled on|canceled on|stood me up|hung up|no one answers|noone answers|no one called|ran out
    |ran over|threw away|made me sick|made us sick|got sick|fell off|came off|fell out|showed up late
    |too small|too big|too tight|too slow|too much|too expensive|too loud|too hot|too cold|doesnt fit
    |dont fit|didnt fit|wont start|wont open|wont turn|stopped working|quit working|last minute
    |third time|second time this|for over an|on hold|never called|never heard|havent heard
    |have not heard|no heat|no hot water|have been waiting|been waiting|been here for|how many times
    |how hard is|are you ever|lost my business|lost a customer|taking my business
    |find another|go elsewhere|going elsewhere|could have been|should be ashamed|in the trash
    |wants my money|talk to a manager|speak to a manager|your manager|file a|reporting this
    |better business bureau|small claims|already told you|told you already|i said no|said no
    |asked you to|do not ever""",
    rebukes="""why do you keep|why do u keep|why are you still|why do i keep|why did you not|how dare
    |who do you think|what is wrong with|whats wrong with|are you kidding|are you serious|what the hell
    |what the fuck""",
    neutral_phrases="""what a|what an|how nice|not sure|im not sure|not yet|dont know|do not know|idk
    |not today|not now|not right now|nothing special|nothing much|not bad not good|would like|id like
    |i would like|looks like|look like|something like|feel like|felt like|like a|like the|as well as
    |good morning|good afternoon|good evening|good night|good day|goodmorning|great uncle|best regards
    |kind regards|regards|kind of|what kind|on time for|get back to|come back|call back|no matter
    |not only|no need|so so|ok i guess|okay i guess|was ok|was okay|was fine|its ok|its okay|its fine
    |it was ok|it was okay|it was fine|order number|my order|the order|order status|an order|order for
    |thank you for contacting|free parking|cold water|late fee|late notice|too late|right now|sorry for
    |sorry to|in case|lost and found|end of|bus stop|stop by|stop in|stop at|dont forget|fair enough
    |no rush|no preference|not necessarily|neither here|didnt know|do not understand|dont understand
    |running late|run late|running behind|running a bit late|a bit late|best time|better time|good time
    |which is better|how good|want to know|want to ask|want to see|if you want|what do you want|want me
    |do you want|well see|lets see|at least|fast food|deal with|make sure|be sure|fun fact|the fire
    |to write home|for that price range|which one is|is better""",
    question_starts="""what|whats|when|whens|where|wheres|which|who|whos|whom|whose|how|hows|how much
    |why|can i|can you|can u|can we|could i|could you|could u|could we|may i|would it|would you|do you
    |do u|do i|do we|does it|does the|does this|did you|did i|are you|are u|are there|are we|is it
    |is there|is this|is that|is the|is my|will you|will it|will the|should i|should we|have you|has the
    |has my|i was wondering|was wondering|wondering if|am i|any chance|is your|ok what|ok when|ok where
    |ok how|ok who|and what""",
    innocent="die toll war hell mal pare mas",
    markers="""the a an i im you your my me we our it its is are was were be been am and or of to in on at
    for with from this that these those have has had do does did will would can could should there here
    they he she his her them what when where how who which if then just about up out by as not get got
    new time day today tomorrow next week""",
)
