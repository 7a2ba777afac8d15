// The screens, each with the least role and the routes that it needs. One whose routes a server
// does not have is left out.

import { Account } from "./screens/account.js";
import { Anonymize } from "./screens/anonymize.js";
import { Audit } from "./screens/audit.js";
import { Enroll } from "./screens/enroll.js";
import { Galleries } from "./screens/galleries.js";
import { Groups } from "./screens/groups.js";
import { Identify } from "./screens/identify.js";
import { Keys } from "./screens/keys.js";
import { Live } from "./screens/live.js";
import { LivenessCheck } from "./screens/liveness.js";
import { People } from "./screens/people.js";
import { DataRequests } from "./screens/requests.js";
import { Thresholds } from "./screens/thresholds.js";
import { Users } from "./screens/users.js";
import { Verify } from "./screens/verify.js";

export const SECTIONS = ["faces", "galleries", "service", "admin"];
const OF_GALLERY = "/v1/galleries/{gallery}";

export const SCREENS = [
  { name: "verify", section: "faces", role: "verify", routes: ["POST /v1/compare"], screen: Verify },
  { name: "identify", section: "faces", role: "verify", routes: [`POST ${OF_GALLERY}/identify`], screen: Identify },
  { name: "liveness", section: "faces", role: "verify", routes: ["POST /v1/liveness/sessions"], screen: LivenessCheck },
  { name: "anonymize", section: "faces", role: "verify", routes: ["POST /v1/anonymize"], screen: Anonymize },
  { name: "enroll", section: "galleries", role: "enroll", routes: [`POST ${OF_GALLERY}/people/{person}/samples`], screen: Enroll },
  { name: "people", section: "galleries", role: "verify", routes: [`GET ${OF_GALLERY}/people`], screen: People },
  { name: "groups", section: "galleries", role: "verify", routes: ["POST /v1/group", "POST /v1/detect"], screen: Groups },
  { name: "live", section: "galleries", role: "verify", routes: ["GET /v1/streams"], screen: Live },
  { name: "thresholds", section: "service", role: "verify", routes: ["GET /v1/thresholds"], screen: Thresholds },
  { name: "galleries", section: "admin", role: "admin", routes: ["POST /v1/galleries"], screen: Galleries },
  { name: "keys", section: "admin", role: "admin", routes: ["GET /v1/keys"], screen: Keys },
  { name: "users", section: "admin", role: "admin", routes: ["GET /v1/users"], screen: Users },
  { name: "audit", section: "admin", role: "admin", routes: ["GET /v1/audit", "GET /v1/audit/verify"], screen: Audit },
  { name: "requests", section: "admin", role: "admin", routes: [`GET ${OF_GALLERY}/people/{person}/export`, `GET ${OF_GALLERY}/people/{person}/consent`], screen: DataRequests },
  { name: "account", section: null, role: "verify", routes: [], screen: Account },
];
