"""What vendors' keys begin with, and what follows. Data only; `vendors.py` reads it.

A line is: vendor, one or more beginnings, and a regular expression for the rest, in which a capital letter before a
count stands for an alphabet (see `vendors.ALPHABETS`), E for the padding of base64 and UUID for a UUID. A beginning
has at least two characters and is rare in ordinary text. Lengths are the shortest that the vendor documents or a
little less, so that next year's longer key is still one.

Sources: the vendors' own pages on their keys, GitHub's "Supported secret scanning patterns", and the rules (not the
test data) that gitleaks and TruffleHog publish.
"""

from typing import Final

TABLE: Final = r"""
1password         ops_eyJ  B{50,}E
1password         A3-  C{6}-C{6,11}(?:-C{5}){3,5}
abnormal          abn_  U{20,}
adafruit          aio_  A{28}
adobe             p8e-  A{32}
adyen             AQE  B{40,200}(?:E-B{20,200}E)?-A{16}
age               AGE-SECRET-KEY-1  C{58}
aikido            AIK_  A{20,}
airtable          pat  A{14}\.H{64}
aiven             AVNS_  U{12,}
alibaba           LTAI  A{12,26}
anthropic         sk-ant-  U{16,}
apideck           sk_live_  A{8,}(?:-A+){1,4}
apify             apify_api_  A{30,}
apollo            user:fh.  [0-9A-Za-z_.-]{20,}
artifactory       AKC  A{40,}
artifactory       cmVm  A{40,}
atlassian         ATATT3 ATCTT3  U{24,}E(?:H{8})?
atlassian         ATBB  [A-Za-z0-9_=.-]{24,}
atlassian         BBDC-  [A-Za-z0-9+/@_-]{40,50}
authress          sc_ ext_ scauth_ authress_  A{5,30}\.A{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}
aws               AKIA ASIA ABIA ACCA A3T  C{16,17}
aws               ABSK  B{60,}E
aws               bedrock-api-key-  B{16,}E
aws               amzn.mws.  {UUID}
aws               da2-  [a-z0-9]{26}
axiom             xaat- xapt-  {UUID}
backblaze         K00  \dB{27}
bannerbear        bb_pr_ bb_ma_  H{30}
baremetrics       lk_  A{18,25}
baseten           bst_  A{20,}
beamer            b_  [A-Za-z0-9=_-]{44}
besttime          pri_  H{32}
bitrise           bitrise_  U{20,}
braintree         access_token$ access_token%24  (?:production|sandbox)(?:\$|%24)A{16}(?:\$|%24)H{32}
brevo             xkeysib- xsmtpsib-  H{64}-A{16}
buildkite         bkua_ bkat_ bkct_  U{20,}
cal.com           cal_live_ cal_  H{32}
canva             cnvca cnvat  U{24,}
cashfree          cfsk_ma_  (?:prod|test)_H{32}_H{8}
cerebras          csk-  A{40,}
checkly           cu_  H{32}
checkout          sk_ sk_test_ sk_sbox_  {UUID}
chromatic         chpt_  H{12,15}
circleci          CCIPAT_ CCIPRJ_  A{10,}_H{40}
clickhouse        4b1d  A{38}
clickup           pk_  \d{6,10}_C{32}
clojars           CLOJARS_  A{60}
close             api_  A{22}\.A{22}
cloudflare        v1.0-  H{24}-H{146}
cloudflare        cfut_ cfat_ cfk_  U{32,}
cockroach         CCDB1_  A{22}_A{40}
coder             coder_  A{10}-A{22}
column            live_ test_  A{27}
configcat         configcat-sdk-  (?:1/|1%2F)?U{22}[/%](?:2F)?U{22}
contentful        CFPAT-  U{40,}
convertkit        kit_  H{32}
courier           pk_  [a-z]+_C{28}
cratesio          cio  A{32}
cursor            key_  H{64}
databricks        dapi dkea dose  H{32}(?:-\d)?
datadog           ddapp_ ddpat_  A{20,}
datadog           pub  H{32}
deepseek          sk-  H{32}
defined           dnkey-  U{26}-U{52}
deno              ddp_ ddw_  A{36}
depot             depot_  U{20,}
devcycle          dvc_server_ dvc_client_ dvc_mobile_  U{20,}
digitalocean      dop_v1_ doo_v1_ dor_v1_  H{64}
digitalocean      DO00  C{16}
discord           mfa.  U{84}
discord           MT Mj Mz ND NT Nj Nz OD OT  U{21,26}\.U{6}\.U{27,40}
discord           discord.com/ discordapp.com/  api/webhooks/\d{15,22}/U{40,}
discord           discord.com%2F discordapp.com%2F  api%2Fwebhooks%2F\d{15,22}%2FU{40,}
django            django-insecure-  [\w@#%^&*()+=!$-]{30,}
django            eyJ  U{8,}:A{6}:U{27,}
docker            dckr_pat_ dckr_oat_  U{24,}
docker-swarm      SWMTKN-1-  A{50}-A{25}
docker-swarm      SWMKEY-1-  B{43}
doppler           dp.  (?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?A{40,44}
dropbox           sl.  (?:u\.)?[A-Za-z0-9_=-]{100,}
dub               dub_  A{24}
duffel            duffel_  (?:test|live)_[A-Za-z0-9_=-]{43}
dynatrace         dt0  [a-z]\d\d\.A{8,24}\.A{64}
e2b               e2b_  H{40}
easypost          EZAK EZTK  A{54}
elevenlabs        sk_  H{48}
endor             endr+ endr%2B endr_  U{16,}
exoscale          EXO  H{24}
facebook          EAA  A{40,}
fal               fal_  U{32,}
figma             figd_ figu_ figo_ figp_ figor_ figdr_  U{38,}
firecrawl         fc-  H{32}
fireworks         fw_  A{22,}
flagsmith         ser.  A{22}
fleetbase         flb_live_ flb_test_  A{20}
flexport          shltm_  U{40}
flutterwave       FLWSECK FLWPUBK  (?:_TEST)?-A{12,32}(?:-X)?
fly               FlyV1  (?:\s|%20|\+)fm\d_(?:[A-Za-z0-9+/=,_-]|%2[BCF]|%3D){60,}
fly               fo1_  U{43}
fly               fm2_ fm1a_ fm1r_  B{60,}E
frameio           fio-u-  U{64}
freemius          sk_  [A-Za-z0-9#$%&@~!^*]{29}
fullstory         na1.  B{100}
gitbook           gb_api_  A{40}
github            ghp_ gho_ ghu_ ghs_ ghr_  A{20,}
github            github_pat_  [0-9A-Za-z_]{36,}
gitlab            glpat- glrt- gldt- glft- glimt- glsoat- glffct- glcbt- glwt-  [0-9A-Za-z_.-]{20,}
gitlab            glagent- gloas- glptt-  U{40,}
gitlab            GR1348941  U{20,}
gocardless        live_ sandbox_  U{40}
google            AIza  U{30,}
google            AQ.  Ab8U{40,}
google            ya29.  U{20,}
google            GOCSPX-  U{24,}
google            1//0 4/0A 4%2F0A 1%2F%2F0  U{30,}
google            GOOG  C{20,59}
grafana           glc_  B{32,}E
grafana           glsa_  A{32}_H{8}
grafana           eyJrIjoi  A{40,}E
groq              gsk_  A{32,}
growthbook        secret_  (?:admin|user|readonly)_A{40,}
harness           pat. sat.  U{22}\.A{24}\.A{20}
hashicorp-vault   hvs. hvb. hvr. b.AAAAAQ  U{20,}
helicone          sk-helicone-  U{20,}
heroku            HRKU-  U{30,}
honeycomb         hcaik_ hcamk_ hcxik_ hcalk_ hcxlk_ hcbik_ hcbmk_  A{26,}
hubspot           pat-  (?:na|eu|ap)\d-{UUID}
hubspot           CPjr  U{40,}
huggingface       hf_ api_org_  A{30,}
incident.io       inc_  H{64}
infisical         st.  {UUID}\.H{32}\.H{32}
infisical         st.  H{24}\.H{32}\.H{32}
infracost         ico-  A{32}
inngest           signkey-  (?:prod|test|branch)-H{32,}
intercom          dG9rO  A{40,}E
intra42           s-s4t2 u-s4t2  (?:ud|af)-H{64}
ionic             ion_  A{42}
jfrog             reftkn  A{50,}
jina              jina_  A{40,}
jwt               eyJ  U{8,}\.U*\.U{8,}(?:\.U*){0,2}
jwt               eyJ ewo  U{8,}\.U{8,}(?:\.U*){0,3}
klarna            klarna_  (?:live|test)_api_[A-Za-z0-9_=-]{40,}
klaviyo           pk_  (?:A{6}_)?H{34}
langchain         lsv2_  (?:pt|sk)_H{32}_H{10}
langchain         ls__  H{32}
langfuse          sk-lf- pk-lf-  {UUID}
launchdarkly      sdk- api- mob-  {UUID}
lemonsqueezy      lsq_  A{30,}
linear            lin_api_ lin_oauth_  A{32,}
liveblocks        sk_prod_ sk_dev_ pk_prod_ pk_dev_  U{40,}
llamaindex        llx-  A{40,}
lob               live_ test_  H{35}
lob               live_pub_ test_pub_  H{31}
localstack        ls-  [a-zA-Z]{4}[0-9A-Za-z-]{28,}
locationiq        pk.  H{32}
logfire           pylf_v  \d_(?:[a-z]{2}_)?A{20,}
mailchimp         md-  U{22}
mailersend        mlsn.  H{60,}
mailgun           key-  A{32}
mailgun           pubkey-  A{32}
mapbox            pk.eyJ sk.eyJ tk.eyJ  U{40,}\.U{22}
mapbox            pk. sk.  A{60}\.A{22}
mercadopago       APP_USR-  [0-9A-Za-z-]{30,}
mergify           mka_  U{20,}
messagebird       live_  A{25}
midtrans          Mid-server- SB-Mid-server-  U{20,}
mollie            live_ test_  A{30}
mux               mux_  U{30,}
nats              SA SC SN SO SU  [A-Z2-7]{56}
neon              napi_  A{40,}
neon              npg_  A{12,}
netlify           nfp_ nfc_ nfo_ nfb_ nfu_  U{36,}
newrelic          NRAK-  A{27}
newrelic          NRII- NRIQ-  U{25,32}
newrelic          NRRA-  H{42}
newrelic          NRJS- NRBR- NRSP-  A{18,}
newrelic          eu01xx  H{26,36}(?:FFFFNRAL|-NRMA)?
ngrok             ak_  A{27}
nightfall         NF-  A{32}
nomic             nk-  U{43}
notion            ntn_  A{40,}
notion            secret_  A{43}
npm               npm_  A{36}
nuget             oy2  A{43}
nvidia            nvapi-  U{60,}
nylas             nyk_v  \d_A{20,}
octopus           API-  C{26,32}
omise             skey_ pkey_  (?:test_)?[0-9a-z]{19}
onesignal         os_v2_  (?:app|org)_A{80,}
onfido            api_  (?:live|sandbox)(?:_[a-z]{2})?\.U{10,12}\.U{30,34}
openai            sk-proj- sk-svcacct- sk-service- sk-admin- sk-None-  U{20,}
openai            sk-  A{20}T3BlbkFJ[0-9A-Za-z]{20}
openai            sk-  A{40,}
openai            sess-  A{40}
openrouter        sk-or-  v\d-H{40,}
openshift         sha256~  U{43}
ory               ory_  (?:pat|apikey|st|lo|at|rt|ac)_[A-Za-z0-9_.-]{32,}
paddle            pdl_  (?:live|sdbx)_(?:apikey|ntfset)_[a-z0-9_A-Z]{30,}
pagarme           ak_live_ ak_test_  A{30}
pagerduty         pdus+ pdus%2B u+ u%2B  U{18,}
perplexity        pplx-  A{32,}
persona           persona_  (?:production|sandbox)_{UUID}
photoroom         sk_pr_ sandbox_sk_pr_  A{1,64}_H{40}
pinecone          pcsk_  [A-Za-z0-9_]{40,}
plaid             access- public- link- processor-  (?:sandbox|development|production)-{UUID}
planetscale       pscale_tkn_ pscale_oauth_ pscale_pw_  [A-Za-z0-9_.=-]{32,}
polar             polar_  (?:oat|pat|whs|at_u|at_o|rt|cs)_A{32,}
portainer         ptr_  B{20,}E
posthog           phc_ phx_ phs_  A{32,}
postman           PMAK-  H{24}-H{34}
postmark          PM-  [BT]-[a-z]+-U{22}
prefect           pnu_ pnb_  A{36}
privateai         pai_  A{30,}
pubnub            sub-c- pub-c-  {UUID}
pubnub            sec-c-  A{40,}
pulumi            pul-  A{40}
pypi              pypi-AgE  U{50,}
railway           rw_  U{20,}
ramp              ramp_sec_ ramp_id_  A{40,48}
razorpay          rzp_  (?:live|test)_A{14,}
readme            rdme_  A{60,}
recharge          sk_  (?:test_)?\d{1,2}x\d_H{64}
render            rnd_  A{28,}
replicate         r8_  U{37}
resend            re_  A{8}_A{20,}
retool            retool_01  U{20,}
revenuecat        appl_ goog_ amzn_ strp_ sk_ atk_  A{28,32}
robinhood         rh-api-  {UUID}
rootly            rootly_  H{64}
rubygems          rubygems_  H{48}
runpod            rpa_  A{40,46}
saladcloud        salad_cloud_  A{1,7}_A{7,}
salesforce        00D  A{12}!A{90,}
salesforce        3MVG9 5AEP861  [0-9A-Za-z._+/=]{60,}
samsara           samsara_api_  A{28,}
scaleway          SCW  C{17}
scalingo          tk-us-  U{48}
segment           sgp_  A{60,}
sendgrid          SG.  U{16,32}\.U{16,64}
sentry            sntrys_  (?:[A-Za-z0-9+/=_-]|%2[BF]|%3D){40,}
sentry            sntryu_ sntrya_ sntryr_ sntryi_  H{64}
settlemint        sm_  (?:aat|pat|sat)_A{16}
shippo            shippo_  (?:live|test)_H{40}
shopify           shpat_ shpca_ shppa_ shpss_ shpua_ shptka_ shprt_  H{32}
sidekiq           BUNDLE_  [A-Z_]{5,40}=H{8}:H{8}
slack             xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxc-  [0-9A-Za-z-]{10,}
slack             xoxd-  [0-9A-Za-z%/+=-]{10,}
slack             xoxe  (?:\.xox[bp])?-[0-9A-Za-z-]{20,}
slack             xapp-  \d-[A-Z0-9]+-\d+-A{20,}
slack             xwfp-  [0-9A-Za-z-]{20,}
slack             hooks.slack.com/ hooks.slack.com%2F  (?:services|workflows|triggers)[/%][A-Za-z0-9/_%-]{20,}
smooch            act_  [0-9a-z]{24}
snyk              snyk_  (?:uat|sat)\.H{8}\.[A-Za-z0-9_.-]{60,}
sonar             squ_ sqp_ sqa_ sqb_ sqco_  A{40,}
sourcegraph       sgp_  (?:A{16}_|local_)?H{40}
sourcegraph       slk_ sgd_ sgs_ sgph_  H{40,}
square            EAAA  U{60}
square            sq0 sandbox-sq0  (?:atp|csp|idp|idb|csb|acp)-U{22,}
stackhawk         hawk.  U{20}\.U{20}
statsig           secret- client-  A{40,}
stripe            sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_ pk_live_ pk_test_  A{10,}
stripe            whsec_  B{24,}E
stripe            pi_ seti_ cs_  [A-Za-z0-9_]{14,70}_secret_A{20,}
stytch            secret-  (?:live|test)-U{35,}
supabase          sbp_  A{40}
supabase          sb_secret_ sb_publishable_  U{20,}
svix              sk_ testsk_  [A-Za-z0-9_-]{24,}\.(?:us|eu|ca|in|au)
tailscale         tskey-  (?:api-|auth-|client-|scim-|webhook-)?A{8,}(?:-A{16,})?
tavily            tvly-  U{20,}
teamwork          tkn.v1_  [A-Za-z0-9=]{60,}
telnyx            KEY  A{32}_A{22}
tencent           AKID  A{32}
thunderstore      tss_  A{36}
tickettailor      sk_  \d{4}_\d{6}_H{32}
tigris            tid_ tsec_  U{32,}
tines             tines_  U{20,}
together          tgp_v1_  U{43}
trello            ATTA  A{64,}
trigger.dev       tr_  (?:prod|dev|stg|preview|pat)_A{20,}
trufflehog        thog-key- thog-secret-  H{16,32}
turbot            tpt_  A{20}_A{20,}
twilio            SK AC  H{32}
twitter           AAAAAAAAAAAAA  [A-Za-z0-9%]{40,}
typeform          tfp_  [A-Za-z0-9_.=-]{40,}
ubidots           BBFF- BBUS-  A{30}
unkey             unkey_  A{16,}
unleash           default: default%3A  [a-z]{2,20}\.H{56}
valtown           vtwn_  A{20,}
vercel            vcp_ vci_ vca_ vcr_ vck_  A{24,}
vercel-blob       vercel_blob_rw_  A{16}_A{24,}
voiceflow         VF.  (?:(?:DM|WS)\.)?H{24}\.A{16}
volcengine        AKLT  A{40,}
voyage            pa-  U{43}
wakatime          waka_ waka_tok_ waka_sec_  (?:{UUID}|A{40,})
wandb             wandb_v1_  U{40,}
woocommerce       ck_ cs_  H{40}
xai               xai-  [0-9A-Za-z_]{60,}
xata              xau_  A{30,}
xendit            xnd_  (?:production|development|public_[a-z]+)_A{30,}
yandex            AQVN  U{35,38}
yandex            YC  U{38}
yandex            t1.  [A-Z0-9a-z_-]+[=]{0,2}\.[A-Z0-9a-z_-]{86}[=]{0,2}
yandex            y0_  U{50,}
zapier            zpka_  U{24,}
zapier            hooks.zapier.com/ hooks.zapier.com%2F  hooks[/%][A-Za-z0-9/%]{16,}
zoho              1000.  H{32}\.H{32}
"""
