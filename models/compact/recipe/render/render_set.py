"""Renders the set of invented cars that the bundled model learns from, and the one it is tested on.

blender -b --python render_set.py -- train|test OUTDIR [--threads 1] [--size 240x160] [--samples 8] [--first 0] [--cars N]
    [--bodies a,b] [--colours c,d] [--places e,f]

The training cars stand in places that the demo gallery does not have; the test cars stand in the gallery's kinds of places,
which training never saw. Shapes are stretched, paints varied, cameras drawn at random, so no picture of the gallery occurs.
One car in one place is built once and photographed several times, each time in another colour: OUTDIR/NNN-K.png, and a line
of OUTDIR/labels.jsonl for each. A picture that exists is not rendered again; --first lets two runs share the work. --bodies,
--colours and --places leave the others out, for more of what is mistaken.
"""
import argparse, json, math, os, random, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bpy
import car as carmod
import render
import scenes
from scenes import area, asphalt, cuboid, flat, gradient_world, noise_mat, quad, sky

SHOTS = 5
# colour: linear base colour, metallic share, flake roughness; several paints of one name
PAINTS = {
    "red": [((.56, .007, .009), .45, .33), ((.42, .010, .012), .1, .3), ((.30, .006, .014), .6, .33)],
    "blue": [((.006, .060, .50), .5, .34), ((.012, .022, .14), .4, .33), ((.22, .48, .66), 0, .3), ((.02, .20, .60), .3, .33)],
    "white": [((.82, .82, .81), 0, .3), ((.76, .77, .78), .1, .3), ((.80, .79, .74), 0, .3)],
    "black": [((.006, .006, .007), .2, .3), ((.010, .010, .012), .6, .33)],
    "silver": [((.52, .53, .54), .85, .34), ((.44, .45, .46), .8, .34), ((.60, .60, .60), .9, .36)],
    "grey": [((.13, .135, .145), .6, .34), ((.085, .088, .092), .5, .34), ((.17, .17, .18), .1, .3), ((.20, .205, .21), 0, .3)],
    "green": [((.006, .16, .04), .4, .33), ((.010, .055, .022), .3, .33), ((.20, .45, .02), .1, .3), ((.06, .08, .02), .2, .33)],
    "yellow": [((.86, .52, .005), 0, .3), ((.80, .60, .03), 0, .3), ((.72, .56, .01), .3, .33)],
    "orange": [((.85, .16, .004), .35, .33), ((.78, .22, .01), .1, .3), ((.62, .12, .01), .5, .33)],
    "purple": [((.15, .014, .32), .5, .33), ((.09, .012, .16), .4, .33), ((.30, .12, .48), .2, .3)],
    "pink": [((.78, .20, .36), 0, .3), ((.72, .08, .26), .2, .3), ((.80, .38, .46), 0, .3)],
    "brown": [((.105, .040, .015), .45, .34), ((.06, .026, .014), .4, .33), ((.16, .070, .028), .2, .33)],
    "beige": [((.60, .50, .34), .1, .32), ((.52, .44, .32), .4, .33), ((.66, .58, .44), 0, .3)],
    "gold": [((.55, .36, .075), .8, .33), ((.46, .31, .09), .9, .35), ((.62, .42, .05), .6, .33)],
}
# gallery body: what it is called, and what else it is
NAMED = {
    "sedan": ("sedan", []), "wagon": ("wagon", []), "hatchback": ("hatchback", []), "electric": ("hatchback", ["electric"]),
    "coupe": ("coupe", ["sports"]), "roadster": ("convertible", ["sports"]), "convertible": ("convertible", []), "suv": ("SUV", []),
    "offroad": ("SUV", ["offroad"]), "pickup": ("pickup", []), "van": ("van", []), "panelvan": ("van", []), "minivan": ("minivan", []),
    "beetle": (None, ["old"])}
SPECIAL = {"taxi": ("sedan", "yellow"), "police": ("sedan", "white"), "ambulance": ("panelvan", "white"), "fire": ("panelvan", "red")}
WHEELS = ["five", "sport", "hubcap", "aero", None, None]


def desert(ctx):
    sky(ctx, ctx.rng.uniform(25, 60), ctx.side * ctx.rng.uniform(20, 90), .10, 3.4, dust=3)
    quad(-300, 300, -300, 300, 0, noise_mat("sand", [(.3, (.30, .19, .09)), (.7, (.48, .33, .17))], 3, bump=.05, bscale=8))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    rock = flat("rock", (.20, .10, .055))
    for _ in range(14):
        x, y, z = ctx.rng.uniform(-90, 90), far * ctx.rng.uniform(40, 110), ctx.rng.uniform(4, 22)
        cuboid(x, x + ctx.rng.uniform(8, 30), y, y + 9, -1, z, rock)


def lawn(ctx):
    sky(ctx, ctx.rng.uniform(20, 60), ctx.side * ctx.rng.uniform(10, 100), .12, 3.0)
    quad(-300, 300, -300, 300, 0, noise_mat("lawn", [(.3, (.03, .075, .012)), (.7, (.075, .15, .03))], 9, bump=.06, bscale=60))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    hedge = noise_mat("hedge", [(.3, (.010, .028, .006)), (.7, (.035, .07, .016))], 5, bump=.3, bscale=6)
    cuboid(-60, 60, far * 7, far * 7 + far * 2, 0, ctx.rng.uniform(1.2, 3.2), hedge)
    house = flat("house", (ctx.rng.uniform(.2, .6), ctx.rng.uniform(.15, .45), ctx.rng.uniform(.1, .4)))
    for k in range(3):
        x = ctx.rng.uniform(-40, 30)
        cuboid(x, x + 11, far * 18, far * 26, 0, ctx.rng.uniform(4, 7), house)


def garage(ctx):
    gradient_world([(0, (.10,) * 3), (1, (.18,) * 3)], .5)
    g = ctx.rng.uniform(.12, .35)
    quad(-40, 40, -40, 40, 0, noise_mat("concrete", [(.3, (g * .8,) * 3), (.7, (g * 1.2,) * 3)], 2, .5, bump=.01, bscale=30))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    wall = flat("wall", (g * 1.7, g * 1.65, g * 1.5))
    cuboid(-40, 40, far * 6.5, far * 7, 0, 5, wall)
    for x in (-7, -1.5, 4, 9.5):
        cuboid(x - .3, x + .3, far * 4 - .3, far * 4 + .3, 0, 5, flat("pillar", (.5, .42, .08)))
    for x in (-5, 0, 5):
        area((x, 0, 4.6), (x, 0, 0), (3.0, .5), ctx.rng.uniform(120, 260), (1, .97, .9))
    c = ctx.cam_dir
    area((c[0] * 6, c[1] * 6, 4), (0, 0, .5), (4, 2), 200)


def bricks(ctx):
    sky(ctx, ctx.rng.uniform(30, 60), ctx.side * ctx.rng.uniform(10, 60), .14, 2.4)
    quad(-200, 200, -200, 200, 0, asphalt())
    far = 1 if ctx.cam_dir[1] < 0 else -1
    brick = noise_mat("brick", [(.3, (.16, .045, .025)), (.7, (.30, .11, .065))], 30, bump=.03, bscale=20)
    cuboid(-60, 60, far * 4.6, far * 6, 0, ctx.rng.uniform(5, 12), brick)
    door = flat("door", (ctx.rng.uniform(.02, .4), ctx.rng.uniform(.02, .4), ctx.rng.uniform(.02, .4)))
    for _ in range(4):
        x = ctx.rng.uniform(-14, 12)
        cuboid(x, x + 2.8, far * 4.5, far * 4.7, 0, 3, door)
    quad(-200, 200, min(far * 3.2, far * 4.6), max(far * 3.2, far * 4.6), .08, flat("kerb", (.30, .29, .28)))


def plaza(ctx):
    sky(ctx, ctx.rng.uniform(15, 70), ctx.side * ctx.rng.uniform(10, 120), .12, 3.2)
    t = ctx.rng.uniform(.2, .5)
    quad(-300, 300, -300, 300, 0, noise_mat("paving", [(.45, (t * .8, t * .78, t * .75)), (.55, (t, t * .98, t * .94))], 1.6, .6, bump=.01, bscale=10))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    for k in range(9):
        x, d = ctx.rng.uniform(-60, 50), ctx.rng.uniform(25, 60)
        tone = ctx.rng.uniform(.08, .6)
        cuboid(x, x + ctx.rng.uniform(8, 20), far * d, far * d + 8, 0, ctx.rng.uniform(6, 35), flat("block", (tone, tone * .95, tone * .88)))


def backdrop(ctx):
    r, g, b = (ctx.rng.uniform(.03, .8) for _ in range(3))
    if ctx.rng.random() < .5:
        g = b = r
    gradient_world([(0, (r * .7, g * .7, b * .7)), (.5, (r, g, b)), (1, (.95,) * 3)], ctx.rng.uniform(.4, .9))
    quad(-60, 60, -60, 60, 0, flat("floor", (r * .8, g * .8, b * .8), .5))
    area((0, 0, 5), (0, 0, 0), (6, 3), ctx.rng.uniform(300, 700))
    c = ctx.cam_dir
    area((c[0] * 6 + c[1] * 4, c[1] * 6 - c[0] * 4, 3), (0, 0, .7), (4, 2), 260)


def chalk(ctx):
    """A quarry: light ground and walls under a blue sky, so that a car is lit coldly and from below too."""
    t = ctx.rng.uniform(.45, .8)
    gradient_world([(0, (t * .8, t * .82, t * .86)), (.49, (.70, .78, .90)), (.6, (.45, .60, .88)), (1, (.16, .30, .66))], ctx.rng.uniform(.5, .9))
    scenes.sunlamp(ctx, ctx.rng.uniform(15, 50), ctx.side * ctx.rng.uniform(20, 130), ctx.rng.uniform(.8, 2.4), (1, .96, .9), 2)
    quad(-300, 300, -300, 300, 0, noise_mat("chalk", [(.3, (t * .9, t * .92, t * .95)), (.7, (t, t, t))], 2, bump=.08, bscale=6))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    wall = noise_mat("wall", [(.3, (t * .55, t * .56, t * .58)), (.7, (t * .9, t * .9, t * .88))], 4, bump=.4, bscale=3)
    for _ in range(10):
        x, y, z = ctx.rng.uniform(-70, 60), far * ctx.rng.uniform(14, 50), ctx.rng.uniform(3, 16)
        cuboid(x, x + ctx.rng.uniform(8, 25), y, y + far * 9, -1, z, wall)


def quay(ctx):
    """A harbour in the last or the first light: a low sun of some warmth, and a sky of another tone opposite to it."""
    w = ctx.rng.uniform(0, 1)
    gradient_world([(0, (.10, .09, .09)), (.495, (.50 + .3 * w, .36, .34 - .2 * w)), (.56, (.45 + .2 * w, .40, .46 - .1 * w)),
                    (.75, (.24, .27, .42)), (1, (.10, .14, .30))], ctx.rng.uniform(.5, .9))
    scenes.sunlamp(ctx, ctx.rng.uniform(5, 16), ctx.side * ctx.rng.uniform(30, 110), ctx.rng.uniform(1.2, 3), (1, .78 - .2 * w, .62 - .34 * w), 2)
    far = 1 if ctx.cam_dir[1] < 0 else -1
    quad(-300, 300, -60, 60, 0, asphalt())
    quad(-300, 300, min(far * 9, far * 300), max(far * 9, far * 300), .02, flat("water", (.02, .03, .045), .12))
    for k in range(7):
        x, d = ctx.rng.uniform(-60, 50), ctx.rng.uniform(5, 8)
        tone = [ctx.rng.uniform(.03, .5) for _ in range(3)]
        cuboid(x, x + ctx.rng.uniform(6, 12), far * d, far * (d + 2.4), 0, 2.6 * ctx.rng.choice((1, 2)), flat("container", tone, .6))


def hall(ctx):
    """A light showroom: nearly nothing but the car has a colour, and whatever shines shows white walls."""
    t = ctx.rng.uniform(.55, .9)
    gradient_world([(0, (t * .7,) * 3), (.5, (t,) * 3), (1, (t * 1.05,) * 3)], ctx.rng.uniform(.5, 1))
    quad(-60, 60, -60, 60, 0, flat("floor", (t * .85, t * .85, t * .86), ctx.rng.uniform(.15, .6)))
    far = 1 if ctx.cam_dir[1] < 0 else -1
    if ctx.rng.random() < .5:
        cuboid(-40, 40, far * 6, far * 6.5, 0, 6, flat("wall", (t, t, t * .98)))
    for x in (-3, 3):
        area((x, 0, 5), (x, 0, 0), (2.5, 4), ctx.rng.uniform(120, 420))
    c = ctx.cam_dir
    area((c[0] * 7, c[1] * 7, 3), (0, 0, .6), (5, 3), ctx.rng.uniform(100, 320))


PLACES = {"train": dict(desert=desert, lawn=lawn, garage=garage, bricks=bricks, plaza=plaza, backdrop=backdrop, chalk=chalk, quay=quay, hall=hall),
          "test": scenes.SCENES}


def paint(colour):
    """Gives every painted part of the car another paint; what is charted over it (windows, lamps, liveries) stays."""
    base, metal, rough = colour
    for m in bpy.data.materials:
        if m.name.startswith("paint"):
            n = m.node_tree.nodes
            over = [x for x in n if x.bl_idname == "ShaderNodeMixRGB"]
            if over:
                mixes = [x for x in n if x.bl_idname == "ShaderNodeMix"]
                over[0].inputs[1].default_value = (*base, 1)
                mixes[0].inputs[2].default_value, mixes[1].inputs[2].default_value = rough, metal
            else:
                p = n["Principled BSDF"]
                p.inputs["Base Color"].default_value = (*base, 1)
                p.inputs["Roughness"].default_value, p.inputs["Metallic"].default_value = rough, metal


def jobs(split, cars):
    """The list of cars: body, special livery, place and a seed, the same on every run."""
    rng = random.Random(split)
    places, out = sorted(PLACES[split]), []
    for turn in range(99):
        bodies = sorted(NAMED) + (["taxi", "police", "ambulance", "fire"] if turn % 3 == 0 else [])
        rng.shuffle(bodies)
        for b in bodies:
            special = b if b in SPECIAL else None
            out.append((SPECIAL[b][0] if special else b, special, places[len(out) % len(places)], rng.randrange(1 << 30)))
    return out[:cars]


def photograph(split, n, job, a, w, h):
    body, special, place, seed = job
    rng = random.Random(seed)
    names = [f"{n:03d}-{k}.png" for k in range(SHOTS)]
    if all(os.path.exists(os.path.join(a.out, x)) for x in names):
        return
    colours = [SPECIAL[special][1]] * SHOTS if special else rng.sample(a.colours, SHOTS)
    render.clear()
    sc = render.setup(w, h, a.samples, a.threads)
    over = dict(interior=rng.choice([(.30, .14, .055), (.03, .03, .032), (.50, .42, .30), (.20, .02, .02)]))
    wheel = rng.choice(WHEELS)
    if wheel and body != "beetle":
        over["wheel"] = wheel
    c = carmod.Car(body, "red", special, steer=0, mesh_h=.03, **over)
    sx, sy, sz = rng.uniform(.92, 1.08), rng.uniform(.95, 1.05), rng.uniform(.93, 1.08)
    c.root.scale = (sx, sy, sz)
    L, W, H = c.s["L"] * sx, c.s["W"] * sy, c.s["H"] * sz
    c.root.location = (-L / 2, 0, 0)
    side, built = rng.choice((-1, 1)), False
    for name, colour in zip(names, colours):
        az = side * rng.choice([rng.uniform(8, 85), rng.uniform(25, 65), rng.uniform(80, 100), rng.uniform(100, 172)])
        if sc.camera:
            bpy.data.objects.remove(sc.camera)
        d = render.place_camera(sc, L, W + .25, H + .1, az, rng.uniform(.9, 2.2), rng.uniform(38, 75), rng.uniform(.6, .95), rng.uniform(-.04, .04))
        if not built:
            ctx = render.Ctx()
            ctx.cam_dir, ctx.rng, ctx.side, ctx.opt = (d.x, d.y), random.Random(seed + 1), side, {}
            ctx.L, ctx.W, ctx.H = L, W, H
            PLACES[split][place](ctx)
            built = True
        base, metal, rough = rng.choice(PAINTS[colour])
        f = rng.uniform(.88, 1.12)
        paint((tuple(min(.9, x * f) for x in base), metal, rough))
        sc.view_settings.exposure = render.EXPOSURE.get(place, .3) + rng.uniform(-.25, .25)
        render.render_denoised(sc, os.path.join(a.out, name), w, h, a.threads)
        called, tags = NAMED[body]
        with open(os.path.join(a.out, "labels.jsonl"), "a") as f:
            f.write(json.dumps(dict(file=name, split=split, body=called, colour=colour, tags=sorted(tags + ([special] if special else [])),
                                    shape=body, place=place)) + "\n")
    print(f"RENDERED {n} {body} {special} {place}", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("split", choices=PLACES)
    p.add_argument("out")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--size", default="240x160")
    p.add_argument("--samples", type=int, default=8)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--cars", type=int, default=60)
    p.add_argument("--bodies", type=lambda x: x.split(","), default=sorted(NAMED))
    p.add_argument("--colours", type=lambda x: x.split(","), default=sorted(PAINTS))
    p.add_argument("--places", type=lambda x: x.split(","))
    a = p.parse_args(sys.argv[sys.argv.index("--") + 1:])
    os.makedirs(a.out, exist_ok=True)
    w, h = map(int, a.size.split("x"))
    for n, job in list(enumerate(jobs(a.split, a.cars)))[a.first:]:
        if job[0] in a.bodies and job[2] in (a.places or PLACES[a.split]):
            photograph(a.split, n, job, a, w, h)
