// Loaded before anything else of the program. V8 notes where in the code objects are made that outlive
// its short collections, and makes the next ones from there in old memory at once. Connections that
// stay teach it so; of those that come and go, it then keeps for a full collection what such an object
// refers to, which is the whole connection. See DECISIONS.md, "What the dead keep".
import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--no-allocation-site-pretenuring')
