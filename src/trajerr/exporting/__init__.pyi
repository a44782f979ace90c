from .export import Exported as Exported
from .export import export_bundle as export_bundle
