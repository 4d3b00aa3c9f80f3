"""Camera, Cycles settings and a denoised render; what render_set.py photographs its cars with."""
import sys, os, math, glob, shutil, tempfile
import numpy as np
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bpy
from mathutils import Vector
from bpy_extras.object_utils import world_to_camera_view
import scenes
import denoise


EXPOSURE = dict(studio=.15, road=.40, city=.45, sunset=.62, snow=.12, parking=.40, coast=.10)


class Ctx:
    pass


def clear():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scenes.reset()


def setup(w, h, samples, threads):
    sc = bpy.context.scene
    sc.render.engine = 'CYCLES'
    c = sc.cycles
    c.device = 'CPU'
    c.samples = samples
    c.use_adaptive_sampling = True
    c.adaptive_threshold = .015
    c.adaptive_min_samples = max(8, samples // 3)
    c.use_denoising = False
    c.max_bounces = 6
    c.diffuse_bounces = 2
    c.glossy_bounces = 4
    c.transmission_bounces = 4
    c.transparent_max_bounces = 8
    c.caustics_reflective = False
    c.caustics_refractive = False
    c.blur_glossy = 1.0
    c.sample_clamp_indirect = 3.0
    c.sample_clamp_direct = 12.0
    c.pixel_filter_type = 'BLACKMAN_HARRIS'
    c.filter_width = 1.5
    sc.render.threads_mode = 'FIXED'
    sc.render.threads = threads
    sc.render.resolution_x, sc.render.resolution_y = w, h
    sc.render.resolution_percentage = 100
    sc.render.use_persistent_data = True
    sc.render.image_settings.file_format = 'PNG'
    sc.render.image_settings.color_depth = '8'
    sc.view_settings.view_transform = 'Filmic'
    sc.view_settings.look = 'Medium High Contrast'
    return sc


def place_camera(sc, L, W, H, az, el_h, focal, fill, dx=0.0, fstop=5.6):
    cam = bpy.data.cameras.new('cam')
    ob = bpy.data.objects.new('cam', cam)
    sc.collection.objects.link(ob)
    sc.camera = ob
    cam.lens = focal
    cam.sensor_width = 36
    a = math.radians(az)
    d = Vector((-math.cos(a), -math.sin(a), 0))
    corners = [Vector((x, y, z)) for x in (-L / 2, L / 2) for y in (-W / 2 * .9, W / 2 * .9) for z in (0, H * .55)]
    corners += [Vector((x, y, H)) for x in (-L * .15, L * .3) for y in (-W * .33, W * .33)]
    dist = 9.0
    tgt = Vector((0, 0, H * .46))
    for it in range(14):
        ob.location = d * dist + Vector((0, 0, el_h))
        ob.rotation_euler = (ob.location - tgt).to_track_quat('Z', 'Y').to_euler()
        bpy.context.view_layer.update()
        P = [world_to_camera_view(sc, ob, c) for c in corners]
        x0, x1 = min(p.x for p in P), max(p.x for p in P)
        y0, y1 = min(p.y for p in P), max(p.y for p in P)
        right = Vector((-d.y, d.x, 0))
        size = max((x1 - x0) / fill, (y1 - y0) / .74)
        dist *= size ** .9
        fw = 36 / focal * dist
        tgt += right * ((x0 + x1) / 2 - .5 - dx) * fw * .8 + Vector((0, 0, 1)) * ((y0 + y1) / 2 - .455) * fw * .66 * .8
    cam.dof.use_dof = True
    cam.dof.focus_distance = (ob.location - Vector((0, 0, H * .4))).length - .6
    cam.dof.aperture_fstop = fstop
    cam.clip_end = 5000
    return d


def render_denoised(sc, path, w, h, threads):
    """Render linear EXR passes, denoise, then apply the view transform on saving."""
    vl = sc.view_layers[0]
    vl.cycles.denoising_store_passes = True
    tmp = tempfile.mkdtemp(prefix='gal')
    sc.use_nodes = True
    nt = sc.node_tree
    nt.nodes.clear()
    rl = nt.nodes.new('CompositorNodeRLayers')
    fo = nt.nodes.new('CompositorNodeOutputFile')
    fo.base_path = tmp
    fo.format.file_format = 'OPEN_EXR'
    fo.format.color_depth = '32'
    fo.file_slots.clear()
    for k, sock in (('color', 'Image'), ('albedo', 'Denoising Albedo'), ('normal', 'Denoising Normal')):
        fo.file_slots.new(k)
        nt.links.new(rl.outputs[sock], fo.inputs[k])
    bpy.ops.render.render(write_still=False)
    arr = {}
    for k in ('color', 'albedo', 'normal'):
        f = glob.glob(os.path.join(tmp, k + '*.exr'))[0]
        im = bpy.data.images.load(f)
        im.colorspace_settings.name = 'Linear' if k == 'color' else 'Non-Color'
        a = np.empty(w * h * 4, np.float32)
        im.pixels.foreach_get(a)
        arr[k] = a.reshape(h, w, 4)[..., :3].copy()
    shutil.rmtree(tmp)
    den = denoise.denoise(arr['color'], arr['albedo'], arr['normal'], threads)
    den = .95 * den + .05 * np.minimum(arr['color'], den * 1.6 + .02)        # a little of the grain stays: cameras have some
    out = bpy.data.images.new('out', w, h, float_buffer=True)
    out.colorspace_settings.name = 'Linear'
    out.pixels.foreach_set(np.concatenate([den, np.ones((h, w, 1), np.float32)], 2).astype(np.float32).ravel())
    out.update()
    out.save_render(path, scene=sc)
