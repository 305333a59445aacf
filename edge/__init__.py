"""The station: trigger -> capture -> infer -> decide -> record -> tell."""

import models as _models  # noqa: F401 - before anything imports openvino, so that it reports nothing home
