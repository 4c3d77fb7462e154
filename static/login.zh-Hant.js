// 登入頁的文字。

export const TEXTS = {
  "login.title": "是誰呢？",
  "login.more": "這台 Lookout 需要權杖。在執行它的機器上輸入下列指令，會印出權杖與可掃描的條碼：",
  "login.first": "還沒有人為這台 Lookout 建立權杖。在執行它的機器上輸入下列指令即可建立：",
  "login.cookie": "權杖正確，但這個瀏覽器沒有保留登入：它拒絕了此頁的 cookie。",
  "login.framed": "權杖正確，但嵌在其他網站裡的頁面只有在使用 HTTPS 且 server.allowed_frames 列有該網站時，瀏覽器才會保留登入。請單獨開啟此頁，或完成上述設定。",
  "login.token": "權杖",
  "login.show": "顯示",
  "login.hide": "隱藏",
  "login.go": "進入",
  "login.busy": "請稍候…",
  "login.wrong": "這裡不認得這個權杖。權杖很長，請複製完整內容。",
};
