"""Things that are not cars, as people would type them: they teach which queries must stay far from every car.

None of them is a query of queries.tsv.
"""
import wordnet

THINGS = """
cat|kitten|horse|cow|sheep|pig|goat|chicken|duck|goose|eagle|owl|parrot|penguin|lion|tiger|elephant|giraffe|zebra|monkey|bear|wolf|fox|rabbit
mouse|squirrel|deer|whale|dolphin|shark|fish|crab|lobster|octopus|turtle|snake|lizard|frog|spider|bee|butterfly|ant|snail|cheetah
pony|puppies playing|a flock of birds|a swarm of bees|goldfish in a bowl|cattle in a field
flower|rose bush|sunflower|grass|forest|jungle|leaf|mushroom|cactus|palm|oak|garden|vineyard|wheat field|mountain|hill|valley|river|lake|waterfall
ocean|wave|island|desert|volcano|glacier|cave|cliff|cloud|rainbow|lightning|thunderstorm|the moon|stars|galaxy|the sun|northern lights|fog over hills
beach|snow|harbour|road|street|motorway|petrol station|car keys|town|village|supermarket|bakery|river bank|sunset over the sea|snow covered peaks|a beach with palms|autumn leaves|a pond with ducks
bread|cheese|butter|egg|rice|pasta|soup|salad|sandwich|burger|steak|sausage|sushi|taco|cake|chocolate|cookie|doughnut|ice cream|apple|pear|grape
cherry tomatoes|potato|carrot|onion|garlic|pepper|tea|beer|wine|whisky|orange juice|glass of milk|bottle of water|breakfast|birthday cake|bowl of fruit
man|woman|boy|girl|baby|child|mother|father|uncle|sister|neighbour|family portrait|bride|wedding|doctor|nurse|teacher|soldier|farmer|cook|dancer|singer|athlete|king|queen|crowd of people
face|hand|foot|eye|hair|smile|people dancing|children at school|an old man reading|team photo|football match|tennis player|swimmer|runner|boxer
house|cottage|castle|church|temple|tower|skyscraper|bridge|barn|factory|hospital|school|library|museum|theatre|stadium|airport terminal|hotel|kitchen
bathroom|bedroom|living room|office|staircase|window|door|roof|chimney|swimming pool|fence|fountain|statue|lighthouse|windmill|pyramid|graveyard
chair|table|sofa|bed|lamp|shelf|cupboard|mirror on a wall|carpet|curtain|clock|vase|candle|pillow|blanket|plate|cup|fork|spoon|knife|pan|kettle|oven
fridge|washing machine|vacuum cleaner|computer|keyboard|laptop|telephone|camera|television|radio|printer|headphones|robot|battery|light bulb|solar panel
book|newspaper|letter|envelope|pencil|pen|paper|scissors|map|flag|calendar|poster|painting|drawing|photo album|chess board|playing cards|dice|doll|kite
teddy bear|ball|guitar|piano|violin|drum|trumpet|flute|harp|orchestra|concert|hammer|saw|drill|ladder|rope|bucket|shovel|broom|needle|nail|screwdriver
hat|cap|shirt|trousers|skirt|dress|coat|jacket|shoe|boot|sock|glove|scarf|belt|tie|glasses|watch|ring|necklace|handbag|umbrella|suitcase
bicycle|mountain bike|motorcycle|scooter|skateboard|train|tram|locomotive|ship|boat|sailing boat|canoe|ferry|submarine|helicopter|rocket|hot air balloon|tractor
excavator|crane|horse carriage|sledge|spaceship|satellite|parachute|glider|warship|tank|cannon
invoice|receipt|spreadsheet|bar chart|map of the city|x-ray picture|crossword|screenshot|handwriting|logo|source code|mathematics|molecule|fingerprint
barcode|menu of a restaurant|diagram|flowers in a vase|a glass of red wine|blue sky|green grass|red roses|black cat|white horse|brown bear|yellow bird|pink flamingo
orange cat|silver ring|gold coin|purple flowers|a white shirt|red shoes|blue whale|green frog
""".replace("\n", "|").strip("|").split("|")


def other_nouns(folder, about_cars):
    """WordNet's common nouns of one or two words that have nothing to do with cars, each with its kind (see wordnet.common): no
    vehicles with wheels, and no word that is said about cars."""
    vehicles = wordnet.narrower(folder, "wheeled_vehicle")
    nouns = [(lemma.split("_"), kind) for lemma, kind in wordnet.common(folder) if lemma not in vehicles]
    return [(" ".join(words), kind) for words, kind in nouns
            if len(words) < 3 and all(w.isalpha() and len(w) > 1 and w not in about_cars for w in words)]
