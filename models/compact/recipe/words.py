"""Words the model should know: colours, bodies, makes and a gazetteer of well-known models.

Everything here is plain world knowledge typed by hand; nothing is derived from the held-out photos.
"""

# attribute -> words a user may type (the first is the canonical one; repeats = more weight)
COLOURS = {
    "black": ["black"] * 5 + ["jet black", "matte black", "ebony", "midnight black", "pitch black", "coal black"],
    "white": ["white"] * 5 + ["pearl white", "snow white", "ivory", "bright white", "off white", "arctic white"],
    "silver": ["silver"] * 5 + ["metallic silver", "silvery", "platinum", "bright silver", "chrome"],
    "grey": ["grey", "gray", "grey", "gray", "grey", "gray", "charcoal", "gunmetal", "graphite", "anthracite", "slate grey", "dark grey",
             "dark gray", "steel grey", "steel gray", "ash grey", "medium grey"],
    "red": ["red"] * 6 + ["crimson", "scarlet", "ruby", "cherry red", "bright red", "dark red", "burgundy", "maroon", "wine red", "bordeaux",
                          "claret", "vermilion", "blood red", "brick red", "fire red"],
    "blue": ["blue"] * 8 + ["navy", "navy blue", "azure", "sky blue", "light blue", "dark blue", "royal blue", "cobalt", "baby blue",
                            "turquoise", "cyan", "aqua", "sapphire", "electric blue", "pale blue", "powder blue", "midnight blue", "indigo"],
    "green": ["green"] * 6 + ["emerald", "lime green", "lime", "olive", "dark green", "forest green", "racing green", "light green", "teal",
                              "mint green", "jade green", "bottle green", "neon green", "hunter green", "army green", "pale green"],
    "yellow": ["yellow"] * 4 + ["lemon yellow", "canary yellow", "bright yellow", "mustard", "neon yellow", "pale yellow", "sunny yellow"],
    "orange": ["orange"] * 4 + ["tangerine", "bright orange", "amber", "burnt orange", "neon orange", "vivid orange"],
    "purple": ["purple"] * 5 + ["violet", "lilac", "lavender", "plum", "dark purple", "mauve", "aubergine", "amethyst", "deep purple", "light purple"],
    "pink": ["pink"] * 5 + ["hot pink", "rose", "magenta", "fuchsia", "light pink", "pale pink", "pastel pink", "salmon pink", "neon pink",
                            "bubblegum pink"],
    "brown": ["brown"] * 5 + ["chocolate", "dark brown", "coffee brown", "bronze", "copper", "mahogany", "chestnut", "mocha", "rusty brown"],
    "beige": ["beige"] * 4 + ["tan", "tan", "cream", "sand", "champagne", "sandy", "ecru", "pale beige"],
    "gold": ["gold", "gold", "gold", "golden", "gold coloured", "golden colored", "metallic gold"],
}
# pairs that even people mix up: neither positive nor negative for each other
SOFT_COLOURS = [("silver", "grey"), ("beige", "gold"), ("beige", "brown"), ("gold", "brown"), ("silver", "beige")]

BODIES = {
    "sedan": ["sedan"] * 4 + ["saloon", "saloon", "saloon car", "four-door sedan", "four door saloon", "4 door car", "4-door sedan", "family saloon"],
    "SUV": ["suv"] * 4 + ["4x4", "crossover", "sport utility vehicle", "off-roader", "crossover suv", "sports utility", "4wd", "four-by-four",
                          "four wheel drive", "compact suv", "large suv"],
    "coupe": ["coupe"] * 4 + ["two-door coupe", "2 door car", "coupé", "fastback", "2-door coupe"],
    "convertible": ["convertible"] * 4 + ["cabriolet", "roadster", "ragtop", "cabrio", "open-top car", "soft top", "spyder", "drop top", "drophead",
                                          "car without a roof", "open top", "soft-top", "open car", "top down car"],
    "pickup": ["pickup", "pickup truck", "truck", "pickup", "pickup truck", "truck", "pick-up", "pick-up truck", "ute", "flatbed truck", "lorry",
               "bakkie", "utility truck", "work truck"],
    "hatchback": ["hatchback"] * 4 + ["hatch", "five-door hatchback", "hatchback car", "hot hatch", "supermini", "city car", "small car", "compact car",
                                      "subcompact", "runabout"],
    "van": ["van"] * 4 + ["cargo van", "passenger van", "delivery van", "panel van", "minibus", "commercial van", "camper van", "camper", "work van",
                          "box van", "transporter"],
    "wagon": ["wagon", "station wagon", "wagon", "station wagon", "estate", "estate car", "shooting brake", "estate wagon", "family estate"],
    "minivan": ["minivan"] * 4 + ["mpv", "people carrier", "family van", "people mover", "seven seater", "7 seater", "mini van"],
}
# what a body type is for, or looks like
BODY_HINTS = {
    "sedan": ["with four doors and a boot", "with four doors and a trunk", "with a separate boot"],
    "SUV": ["high off the ground", "with high seats", "with four wheel drive", "big and tall", "for rough roads", "to tow a caravan with"],
    "coupe": ["with two doors", "with only two doors", "with two doors and a low roof", "with a sloping roof and two doors"],
    "convertible": ["with the top down", "without a top", "roofless", "with a folding roof", "whose roof comes off", "open to the sky", "for sunny days",
                    "with the roof folded away"],
    "pickup": ["with a loading bed", "with an open bed behind the cab", "with a tailgate", "for carrying timber", "for a load of gravel",
               "to carry a motorbike on", "for work on a farm", "with a load area", "for building materials", "for bales of straw"],
    "hatchback": ["with a rear door and a short tail", "small with five doors", "short with a steep back", "easy to park", "for the city"],
    "van": ["for deliveries", "for a plumber", "to move furniture with", "for a courier", "for tools and ladders", "to send goods with", "for moving house",
            "for an electrician", "without rear windows"],
    "wagon": ["with a big boot", "with a long boot", "with a long roof", "with a large trunk behind the seats", "for a lot of luggage",
              "with room for skis and suitcases"],
    "minivan": ["with seven seats", "seats seven", "with three rows of seats", "for a big family", "for six children", "with seats for everybody",
                "for the whole football team"],
}
SOFT_BODIES = [("van", "minivan")]
# parts of cars, and colours that no list above has: neither a car nor anything else
CAR_PARTS = """headlight headlights tire tires tyre tyres bonnet hood boot trunk windshield windscreen fender bumper motor engine wheel wheels chrome
chassis gear gearbox brake brakes exhaust mirror mirrors seat seats steering driver drivers traffic transport vehicle vehicles door doors window windows roof bed
coral salmon mint jade russet ash coal honey peach khaki apricot rust colour color shade tint fleet garage parking"""

# make (as in labels.csv) -> spoken names
MAKE_WORDS = {
    "BMW": ["bmw", "bmw", "beemer", "bimmer"],
    "Chevrolet": ["chevrolet", "chevy", "chevrolet"],
    "Volkswagen": ["volkswagen", "vw"],
    "Mercedes-Benz": ["mercedes-benz", "mercedes", "mercedes benz", "merc", "benz"],
    "Rolls-Royce": ["rolls-royce", "rolls royce", "rolls"],
    "Lamborghini": ["lamborghini", "lamborghini", "lambo"],
    "Land Rover": ["land rover", "landrover"],
    "Jaguar": ["jaguar", "jaguar", "jag"],
    "Cadillac": ["cadillac", "cadillac", "caddy"],
    "Aston Martin": ["aston martin", "aston martin", "aston"],
    "AM General": ["am general", "hummer"],
    "smart": ["smart", "smart car"],
    "MINI": ["mini", "mini cooper"],
}


def make_words(make):
    """What people call it, the usual name first."""
    return MAKE_WORDS.get(make, [make.lower()])


COUNTRY = {
    "german": ["Audi", "BMW", "Mercedes-Benz", "Volkswagen", "Porsche", "smart", "Maybach"],
    "american": ["Chevrolet", "Dodge", "Ford", "Chrysler", "GMC", "Jeep", "Buick", "Cadillac", "HUMMER", "Eagle", "Geo",
                 "AM General", "Plymouth", "Ram", "Lincoln", "Tesla", "Fisker"],
    "japanese": ["Acura", "Nissan", "Toyota", "Suzuki", "Honda", "Infiniti", "Mitsubishi", "Scion", "Isuzu", "Mazda"],
    "italian": ["Ferrari", "Lamborghini", "FIAT"],
    "british": ["Bentley", "Aston Martin", "Rolls-Royce", "Land Rover", "Jaguar", "McLaren", "MINI"],
    "korean": ["Hyundai", "Daewoo"],
    "swedish": ["Volvo"],
}
# tag -> (words, rule over make / model / body)
EXOTIC = ["Ferrari", "Lamborghini", "Bugatti", "McLaren", "Spyker"]
SPORTY = ["Aston Martin R", "Audi R8", "Audi TT", "BMW Z4", "BMW M3", "BMW M6", "Chevrolet Corvette", "Chevrolet Camaro",
          "Dodge Challenger", "Ford GT", "Ford Mustang", "Jaguar XK", "Nissan 240SX", "Acura Integra", "Audi RS",
          "Aston Martin", "Mercedes-Benz SL", "Chrysler Crossfire", "Infiniti G", "Audi S5", "Eagle Talon"]
LUXURY = ["Bentley", "Rolls-Royce", "Maybach", "Aston Martin", "Lincoln", "Cadillac", "Mercedes-Benz", "Jaguar"]
MUSCLE = ["Dodge Challenger", "Dodge Charger", "Chevrolet Camaro", "Ford Mustang"]
OFFROAD = ["Jeep Wrangler", "HUMMER", "AM General", "Toyota 4Runner", "Land Rover", "Jeep Liberty"]
ELECTRIC = ["Tesla", "Nissan Leaf", "Fisker"]
# Shapes of rendered cars that imitate something: what they are called by those who look for it, make and model.
IMITATED = {"electric": ("Tesla", None), "beetle": ("Volkswagen", "Beetle")}
TAG_WORDS = {
    "sports": ["sports car", "sports car", "sporty car", "fast car", "performance car", "race car", "racing car"],
    "supercar": ["supercar", "exotic car", "hypercar", "exotic sports car"],
    "luxury": ["luxury car", "luxury vehicle", "limousine", "expensive car", "premium car", "limo", "fancy car", "executive car"],
    "muscle": ["muscle car", "american muscle car"],
    "offroad": ["off-road vehicle", "offroad car", "all-terrain vehicle"],
    "electric": ["electric car", "ev", "electric vehicle", "battery electric car", "e-car", "zero emission car", "plug-in car"],
    "old": ["old car", "classic car", "vintage car", "older car", "1990s car", "retro car", "oldtimer", "old banger", "jalopy", "antique car", "car from the nineties"],
    "crew cab": ["crew cab pickup", "crew cab truck", "double cab pickup"],
    "extended cab": ["extended cab pickup", "extended cab truck"],
    "regular cab": ["regular cab pickup", "single cab truck"],
    "taxi": ["taxi", "cab", "taxicab", "minicab", "taxi cab"],
    "police": ["police car", "cop car", "cop car", "squad car", "patrol car", "police cruiser", "police", "police vehicle", "sheriff's car"],
    "ambulance": ["ambulance", "ambulance van", "emergency ambulance", "paramedic van"],
    "fire": ["fire engine", "fire truck", "fire brigade vehicle", "firetruck", "fire department truck"],
}
# tag -> how it is said before or after a colour ("something sporty in red")
TAG_ADJECTIVES = {
    "sports": ["sporty", "fast", "sporty looking", "quick", "racy", "speedy"], "supercar": ["exotic"],
    "luxury": ["luxurious", "posh", "fancy", "luxury", "expensive looking", "elegant", "classy", "high end"], "offroad": ["off-road", "rugged"],
    "electric": ["electric", "battery powered", "fully electric", "zero emission"], "old": ["old", "vintage", "classic", "retro", "old-fashioned", "antique"],
}
for _c in COUNTRY:
    TAG_WORDS[_c] = [_c + " car", _c + " car", _c + " vehicle"]


def tags_of(make, model, body, year):
    """Tags of a Stanford class ('make', full 'model' string, body, year)."""
    full = f"{make} {model}"
    has = lambda names: any(full.startswith(n) for n in names)
    t = {c for c, makes in COUNTRY.items() if make in makes}
    if make in EXOTIC: t |= {"supercar", "sports"}
    if has(SPORTY) and body in ("coupe", "convertible", "hatchback"): t.add("sports")
    if has(LUXURY): t.add("luxury")
    if has(MUSCLE): t.add("muscle")
    if has(OFFROAD): t.add("offroad")
    if has(ELECTRIC): t.add("electric")
    if year and int(year) < 2000: t.add("old")
    low = model.lower()
    for cab, keys in (("crew cab", ["crew cab", "quad cab"]), ("extended cab", ["extended cab", "club cab", "supercab"]),
                      ("regular cab", ["regular cab"])):
        if any(k in low for k in keys): t.add(cab)
    return t


BODY_SUFFIX = ["Extended Cab", "Crew Cab", "Regular Cab", "Club Cab", "Quad Cab", "SuperCab", "Cargo Van Minivan",
               "Cargo Van", "Passenger Van", "Wagon Van", "Drophead Coupe Convertible", "Conv. Convertible", "Convertible",
               "Minivan", "Sedan", "Coupe", "SUV", "Hatchback", "Wagon", "Van"]


def base_model(model):
    """'Accord Sedan' -> 'accord'; 'Silverado 1500 Extended Cab' -> 'silverado 1500'."""
    for s in BODY_SUFFIX:
        if model.endswith(" " + s):
            return model[: -len(s) - 1].lower()
    return model.lower()


# Well-known models that the photos do not (or hardly) contain. They teach the TEXT side that e.g. 'ford fusion' means
# "a Ford sedan". 'make' counts only if the make occurs in the data; otherwise only the body is learnt.
GAZETTEER = {
    "sedan": {
        "Ford": "fusion|taurus|mondeo|crown victoria|focus|falcon|escort|five hundred",
        "Toyota": "avalon|vios|etios|mirai|crown|corona|cressida|yaris sedan",
        "Honda": "civic|city|insight|clarity|legend", "Tesla": "model 3|model s|roadster",
        "Hyundai": "verna|ioniq|grandeur|aura|xcent", "Nissan": "altima|sentra|maxima|versa|almera|sunny|teana",
        "Chevrolet": "cruze|caprice|lumina|aveo|prizm", "Volkswagen": "jetta|passat|arteon|vento|santana|cc",
        "Audi": "a3|a4|a6|a7|a8|s8|e-tron gt", "BMW": "5 series|7 series|320i|325i|328i|330i|520d|530i|m5|i4|i7",
        "Mercedes-Benz": "cla|a-class sedan|c200|c300|e200|e350|s500|cls|eqs", "Dodge": "dart|stratus|intrepid|avenger|neon",
        "Chrysler": "200|concorde|300c|cirrus", "Cadillac": "cts|ats|sts|deville|ct5|xts", "Lincoln": "mkz|continental|ls",
        "Volvo": "s40|s60|s80|s90", "Mazda": "mazda 3|mazda 6|323|626", "Mitsubishi": "galant|evo|lancer evolution",
        "Acura": "tlx|ilx|rlx|legend", "Infiniti": "q50|g35 sedan|g37 sedan|m35|q70", "Jaguar": "xj|xe|xf|s-type|x-type",
        "Porsche": "taycan", "Buick": "lacrosse|lesabre|century|park avenue", "Suzuki": "ciaz|dzire", "Bentley": "flying spur",
        "Kia": "optima|k5|rio|forte|cerato|stinger", "Subaru": "legacy|impreza|wrx", "Lexus": "es|is 250|ls 460|gs 350",
        "Skoda": "octavia|superb|rapid", "Peugeot": "407|508|504", "Renault": "laguna|fluence|logan", "Opel": "insignia|vectra",
        "Lada": "vesta|granta|priora", "Genesis": "g70|g80|g90", "Saab": "9-3|9-5", "Alfa Romeo": "giulia|156|159",
        "Citroen": "c5|c6", "Maserati": "quattroporte|ghibli", "Pontiac": "grand prix|bonneville|g6", "BYD": "seal|han",
        "Tata": "tigor", "Maruti Suzuki": "dzire|ciaz"},
    "SUV": {
        "Ford": "explorer|escape|bronco|kuga|ecosport|puma|everest|flex|mustang mach-e", "Tesla": "model x|model y",
        "Toyota": "rav4|highlander|land cruiser|fortuner|prado|fj cruiser|venza|c-hr|bz4x", "Honda": "cr-v|crv|hr-v|pilot|passport",
        "Hyundai": "creta|kona|palisade|venue|ioniq 5|ix35|terracan", "Nissan": "rogue|x-trail|pathfinder|murano|qashqai|patrol|armada|kicks",
        "Chevrolet": "suburban|blazer|equinox|trax|captiva|trailblazer", "Volkswagen": "tiguan|touareg|atlas|taos|t-roc|id.4",
        "Audi": "q3|q5|q7|q8|e-tron|q4", "BMW": "x1|x2|x4|x7|ix|ix3", "Mercedes-Benz": "glc|gle|gls|gla|g-class|g wagon|ml350|glk|eqc",
        "Dodge": "nitro", "Cadillac": "escalade|xt5", "Lincoln": "navigator|aviator|mkx", "Volvo": "xc60|xc40|ex30",
        "Mazda": "cx-5|cx-3|cx-9|cx-30", "Mitsubishi": "outlander|pajero|montero|asx|eclipse cross", "Acura": "mdx|rdx",
        "Infiniti": "fx35|qx60|qx80", "Jaguar": "f-pace|e-pace|i-pace", "Porsche": "cayenne|macan", "Lamborghini": "urus",
        "Bentley": "bentayga", "Rolls-Royce": "cullinan", "Land Rover": "defender|discovery|freelander|evoque|velar|range rover sport",
        "Jeep": "cherokee|renegade|commander", "GMC": "envoy|jimmy|hummer ev", "Buick": "encore|envision", "HUMMER": "h1|h2|h3",
        "Suzuki": "vitara|grand vitara|jimny|xl7|brezza", "Kia": "sportage|sorento|telluride|seltos|ev6|ev9|soul|sonet",
        "Subaru": "forester|crosstrek|ascent|tribeca", "Lexus": "rx 350|nx|gx 460|lx 570", "Skoda": "kodiaq|karoq|kushaq",
        "Peugeot": "3008|5008|2008", "Renault": "duster|captur|koleos|kiger", "Dacia": "duster", "Mahindra": "xuv700|scorpio|thar|bolero",
        "Tata": "nexon|harrier|safari|punch", "MG": "hector|zs|astor", "Maserati": "levante", "Alfa Romeo": "stelvio", "Fiat": "500x",
        "Citroen": "c5 aircross", "Aston Martin": "dbx", "Ferrari": "purosangue", "Fisker": "ocean", "Opel": "mokka|grandland"},
    "coupe": {
        "Ford": "mustang|mustang gt|shelby gt500|capri|thunderbird", "Toyota": "supra|celica|gt86|mr2|86", "Honda": "nsx|prelude|civic coupe|cr-z",
        "Nissan": "370z|350z|gt-r|skyline|silvia|300zx", "Chevrolet": "camaro|corvette|corvette stingray|monte carlo", "Audi": "tt|rs5|r8",
        "BMW": "2 series|4 series|m2|m4|i8|8 series|z3", "Mercedes-Benz": "amg gt|sls amg|c coupe|clk|cl 500", "Dodge": "viper",
        "Porsche": "911|cayman|carrera|carrera gt|918|944|928", "Ferrari": "f40|f430|enzo|testarossa|laferrari|488|812|f12|360 modena",
        "Lamborghini": "huracan|murcielago|countach|sesto elemento|miura", "McLaren": "p1|720s|650s|570s|f1|senna", "Bugatti": "chiron|eb110",
        "Aston Martin": "db9|db11|db5|vanquish|dbs", "Jaguar": "f-type|e-type|xkr", "Bentley": "continental", "Lotus": "elise|evora|exige",
        "Hyundai": "genesis coupe|tiburon", "Infiniti": "g35|g37|q60", "Acura": "nsx|rsx", "Mitsubishi": "eclipse|3000gt", "Mazda": "rx-7|rx-8",
        "Subaru": "brz", "Lexus": "lc 500|rc f|lfa", "Volkswagen": "scirocco|corrado", "Cadillac": "eldorado|cts coupe", "Pontiac": "gto|firebird|trans am",
        "Maserati": "granturismo|mc20", "Koenigsegg": "agera|regera", "Pagani": "zonda|huayra", "Rolls-Royce": "wraith|spectre", "Alfa Romeo": "4c|brera"},
    "convertible": {
        "Mazda": "mx-5|miata|mx-5 miata", "BMW": "z3|z8", "Porsche": "boxster|911 cabriolet", "Honda": "s2000", "Mercedes-Benz": "slk|sl|clk cabriolet",
        "Rolls-Royce": "dawn", "Volkswagen": "eos|beetle cabriolet", "Audi": "tt roadster|a5 cabriolet", "Jaguar": "xk convertible", "Lotus": "elan",
        "Toyota": "solara", "Ferrari": "portofino|f430 spider", "Lamborghini": "huracan spyder|gallardo spyder", "MG": "mgb", "Fiat": "124 spider"},
    "pickup": {
        "Ford": "f-150 raptor|f-250|f-350|ranger|maverick|f-150 lightning|f150|super duty", "Toyota": "tacoma|tundra|hilux", "Nissan": "frontier|titan|navara",
        "Chevrolet": "silverado|colorado|s-10|el camino", "GMC": "sierra|canyon", "Dodge": "ram|ram 1500|ram 2500|dakota", "Ram": "1500|2500|3500|trx",
        "Honda": "ridgeline", "Tesla": "cybertruck", "Rivian": "r1t", "Jeep": "gladiator", "Mitsubishi": "l200|triton", "Isuzu": "d-max", "Volkswagen": "amarok",
        "Mercedes-Benz": "x-class", "Hyundai": "santa cruz", "Lincoln": "mark lt"},
    "hatchback": {
        "Volkswagen": "golf|polo|golf gti|id.3|up|lupo|gti", "Ford": "fiesta|focus hatchback|ka|figo", "Toyota": "yaris|prius|auris|matrix|aygo|glanza|prius c",
        "Honda": "fit|jazz|civic hatchback|civic type r|brio", "Hyundai": "i10|i20|i30|accent hatchback|getz", "Nissan": "micra|note|versa note|leaf",
        "Chevrolet": "spark|bolt ev|sonic hatchback", "Audi": "a1|a3 sportback|s3|rs3", "BMW": "i3|1 series hatchback|118i|120d", "Mercedes-Benz": "a-class|b-class|a200",
        "Mazda": "mazda 2|mazdaspeed 3", "MINI": "cooper|cooper s|clubman", "FIAT": "500|punto|panda|500e", "Suzuki": "swift|alto|baleno|celerio|ignis",
        "smart": "fortwo|forfour", "Kia": "picanto|ceed|rio hatchback", "Subaru": "impreza hatchback", "Renault": "clio|megane|twingo|zoe|kwid", "Peugeot": "206|207|208|308|106",
        "Citroen": "c1|c3|c4|ds3", "Opel": "corsa|astra|adam", "Vauxhall": "corsa|astra", "Skoda": "fabia|citigo", "Seat": "ibiza|leon", "Dacia": "sandero", "Lexus": "ct 200h",
        "Tata": "tiago|altroz|nano", "Mitsubishi": "mirage|colt", "Volvo": "v40", "Scion": "tc|xa|iq", "Alfa Romeo": "giulietta|mito", "MG": "mg4", "Cupra": "born"},
    "van": {
        "Ford": "transit|transit connect|econoline|e-150|e-350", "Mercedes-Benz": "vito|sprinter|metris", "Volkswagen": "transporter|crafter|caddy|id buzz|camper van|t5",
        "Chevrolet": "astro|express", "Nissan": "nv200|nv3500", "Toyota": "hiace", "Ram": "promaster", "Dodge": "ram van|sprinter", "GMC": "safari|savana",
        "Renault": "kangoo|trafic|master", "Peugeot": "partner|boxer", "Citroen": "berlingo", "FIAT": "ducato|doblo", "Hyundai": "h1|starex"},
    "minivan": {
        "Toyota": "innova|innova crysta|sienna|previa|alphard|avanza|vellfire", "Honda": "odyssey|stream|mobilio", "Chrysler": "pacifica|voyager|town and country",
        "Dodge": "grand caravan", "Kia": "carnival|sedona|carens", "Nissan": "quest|serena", "Ford": "galaxy|s-max|windstar|c-max", "Volkswagen": "touran|sharan|multivan",
        "Mazda": "mpv|mazda 5", "Renault": "espace|scenic|triber|lodgy", "Citroen": "picasso", "Suzuki": "ertiga|xl6", "Opel": "zafira|meriva", "Hyundai": "staria|entourage|stargazer",
        "Mercedes-Benz": "v-class|viano", "Mahindra": "marazzo", "Chevrolet": "uplander|venture", "Plymouth": "voyager", "Mitsubishi": "xpander|delica"},
    "wagon": {
        "Volvo": "v60|v70|v90|240 estate|850 estate", "Audi": "a4 avant|a6 avant|rs6|rs6 avant|allroad", "BMW": "5 series touring|3 series touring|320d touring",
        "Mercedes-Benz": "e-class estate|c-class estate", "Subaru": "outback|levorg", "Volkswagen": "passat estate|golf variant|passat variant", "Skoda": "octavia estate|superb combi",
        "Ford": "mondeo estate|focus estate|taurus wagon", "Toyota": "corolla touring|camry wagon", "Dodge": "magnum", "Buick": "roadmaster", "Peugeot": "508 sw|308 sw", "Saab": "9-5 estate",
        "Honda": "accord tourer", "Mazda": "mazda 6 wagon", "Opel": "insignia sports tourer|astra tourer"},
}


def gazetteer_rows():
    """-> list of (make, model, body)."""
    return [(make, name.strip(), body) for body, makes in GAZETTEER.items()
            for make, names in makes.items() for name in names.split("|")]
