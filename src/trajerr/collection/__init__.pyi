from .campaign import Collection as Collection
from .campaign import collect as collect
from .process_pool import ProcessPool as ProcessPool
from .variants import Variant as Variant
