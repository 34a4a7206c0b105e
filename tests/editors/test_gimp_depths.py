import gimp_errors, gimp_depths, pytest
from imgedit_plugins.authoring.samples import photograph
from imgedit_plugins.picture_files import save_picture

pytestmark = pytest.mark.editors


@pytest.mark.parametrize("grey", [False, True])
def test_depths(plugin, folder, grey):
    path = folder / "small.png"
    save_picture(photograph(96, 64), path)
    cases = [
        ("bright", {"offset": 50}),
        ("contrast", {"gain": 1.3}),
        ("levels", {"in_black": 20, "in_white": 200}),
        ("invert", {}),
        ("gaussian", {"kernel": 7}),
        ("exposure", {"stops": 0.7}),
    ]
    if not grey:
        cases += [
            ("grayscale", {}),
            ("sepia", {}),
            ("saturate", {"factor": 0.4}),
            ("saturate", {"factor": 1.4}),
            ("temperature", {"shift": 60}),
            ("tint", {"shift": 20}),
            ("sharp", {}),
        ]
    else:
        cases += [("grayscale", {}), ("saturate", {"factor": 1.4}), ("sharp", {})]
    found = gimp_depths.measure(plugin, path, folder, cases, grey=grey)
    for n, c in enumerate(cases):
        for p in gimp_depths.PRECISIONS:
            l, m, x = found[p, n]
            print(f"{c[0]:10} {p:16} layers {l} mean {m:.4f} max {x:.3f}")
    assert 0
